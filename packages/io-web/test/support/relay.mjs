// What the conformance runner starts as the program to test: it passes lines to the test, which has the browser, and its answers back.
import { connect } from "node:net";

const socket = connect(Number(process.argv[2]), "127.0.0.1");
process.stdin.pipe(socket);
socket.pipe(process.stdout);

// `npm start`: sets up and shows the main job, with the machine's own Node and PATH as any user of the command has them.
import { environment, heading, run, setUp } from "./setup.mjs";

setUp();
heading("Demo");
process.exitCode = run(environment.QDB_NODE, ["scripts/demo.mjs"], {
  env: { ...environment, PATH: process.env.PATH },
});

/** The output of --help. */
export const HELP = `Usage: qdb-conformance --exec 'COMMAND ARGS' [OPTION...]
   or: qdb-conformance --list [--filter GLOB]

Tests a program that reads or writes QDB files against the vectors of the corpus.
The program is any executable that speaks protocol 1: see IMPLEMENTERS.md.

Options:
  --exec 'COMMAND ARGS'    the program; split into words as a shell does, no shell runs
  --once                   start it anew for each request, in place of COMMAND serve
  --profile P              run this profile, claimed or not: read, check, write, update,
                           repair; repeatable (default: those that the program claims)
  --filter GLOB            only vectors whose id matches (* and ?); repeatable
  --list                   print the vectors, run nothing
  --known-failures FILE    lines of an id and a reason: these may fail, and must not pass
  --judge 'COMMAND'        a further program that reads what the first one wrote; repeatable
  --report-json FILE       a report as JSON
  --report-junit FILE      a report as JUnit XML
  --corpus DIR             another corpus than the one that came with the command
  --keep DIR               keep the files of what failed, a folder for each vector
  --timeout SECONDS        for each request (default 10)
  --jobs N                 programs side by side (default 1); limits are measured alone
  -v, --verbose            print what passed and was skipped too, and standard error
  -h, --help               show this help
  --version                print the version, and version and digest of the corpus

Outcomes: pass, fail, crash (no answer, a wrong one, a wrong exit code), skip (not claimed),
known failure. Exit codes: 0 nothing failed, 1 something failed or nothing was run, 2 wrong usage.

Example:
  qdb-conformance --exec 'python3 reader.py' --filter 'hdr-*'
`;

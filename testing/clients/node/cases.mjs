// The cases of a script, one after the other. Who looks at what it wrote knows in which of them it ended.

let running;

/** Runs cases in turn, each by `way`, and tells their names: a script that is ended because it takes too long tells nothing more. */
export async function inTurn(cases, way = (visit) => visit()) {
  for (const visit of cases) {
    running = visit.name;
    console.error(`case ${running}`);
    await way(visit);
  }
  running = undefined;
}

// Node ends a script that waits for something as soon as nothing is left that could bring it, with status 13
// and without a word.
process.on("exit", (code) => {
  if (running !== undefined && code === 0) {
    console.error(`${running} waits for what cannot come any more`);
  }
});

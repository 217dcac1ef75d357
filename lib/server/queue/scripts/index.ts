import { ACCEPT } from './accept.js';
import { CANCEL, LEASE, LOOK } from './callers.js';
import { PRELUDE } from './prelude.js';
import { BEGIN, FINISH, GIVE_BACK, PICK, PUSH } from './runs.js';
import { BEAT, HOOK, ROSTER, SWEEP } from './upkeep.js';

const BODIES = {
  ...{ accept: ACCEPT, pick: PICK, begin: BEGIN, push: PUSH, finish: FINISH, giveBack: GIVE_BACK },
  ...{ cancel: CANCEL, lease: LEASE, look: LOOK, sweep: SWEEP, beat: BEAT, roster: ROSTER, hook: HOOK },
};

export type ScriptName = keyof typeof BODIES;

/** The scripts that Redis runs: each does its work at once, or not at all. */
export const SCRIPTS = Object.fromEntries(
  Object.entries(BODIES).map(([name, body]) => [name, PRELUDE + body]),
) as Readonly<Record<ScriptName, string>>;

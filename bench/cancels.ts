// npx tsx bench/cancels.ts [jobs] [seed]
//
// Many jobs of many kinds on one engine, of which every second one is cancelled at some moment: the others must give, bit
// for bit, what they give alone. Prints JSON; fails where one does not.

import { randomCancels } from '../test/server/cancels.js';
import { machine } from './measure.js';

const [jobs = 2000, seed = 1] = process.argv.slice(2).map(Number);
const report = await randomCancels(jobs, seed);
console.log(JSON.stringify({ ...machine(), ...report }, null, 2));
if (report.wrong.length > 0 || report.left > 0) process.exitCode = 1;

// `npm test`: the native tests, then Jest, both always, so that one run shows everything that is
// broken. Arguments go to Jest.
import { spawnSync } from 'node:child_process';

const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
const steps = [
  ['run', '--silent', 'test:native'],
  ['run', '--silent', 'test:js', '--', ...process.argv.slice(2)],
];
const failed = steps.filter((step) => spawnSync(npm, step, { stdio: 'inherit' }).status !== 0);
process.exit(failed.length > 0 ? 1 : 0);

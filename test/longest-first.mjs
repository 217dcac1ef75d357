import Sequencer from '@jest/test-sequencer';

// What takes minutes begins first, so that no worker waits for it alone in the end: Jest goes by the size of files on a machine
// where it has not run before.
const LONGEST = /composition\.test\.ts$/;

export default class LongestFirst extends Sequencer {
  sort(tests) {
    return super.sort(tests).sort((a, b) => Number(LONGEST.test(b.path)) - Number(LONGEST.test(a.path)));
  }
}

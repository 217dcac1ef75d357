import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { LocalRecord } from '../../../lib/server/http/jobs/local-record.js';
import { FakeJob } from './fake-engine.js';

// How long a job goes on for which nobody asks, by a clock that the test moves on.

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

const pass = (seconds: number) => jest.advanceTimersByTime(1000 * seconds);
const RECONNECT = 5;
const POLL = 60;

function jobOf(isDetached = false) {
  const job = new FakeJob({ model: 'one', task: 'text-to-image', options: { prompt: 'a barn' } });
  const patience = { reconnect: RECONNECT, poll: POLL };
  return { job, record: new LocalRecord(job, 'ann', isDetached, patience, () => {}) };
}

describe('a job', () => {
  test('is cancelled when nobody has asked for it for a while', () => {
    const { job, record } = jobOf();
    for (let i = 0; i < 10; i++) {
      pass(POLL - 1);
      record.touch();
    }
    expect(job.state).toBe('queued');
    pass(POLL - 1);
    expect(job.state).toBe('queued');
    pass(1);
    expect(job.state).toBe('cancelled');
  });

  test('goes on while somebody listens, and a moment longer for who comes back', () => {
    const { job, record } = jobOf();
    const [leave, leaveToo] = [record.attach(), record.attach()];
    pass(10 * POLL);
    leave();
    // Twice is once: the other one still listens.
    leave();
    pass(10 * POLL);
    // Who asks besides takes nothing from who listens.
    record.touch();
    pass(10 * POLL);
    leaveToo();
    pass(RECONNECT - 1);
    const leaveAgain = record.attach();
    pass(10 * POLL);
    expect(job.state).toBe('queued');
    leaveAgain();
    pass(RECONNECT - 1);
    expect(job.state).toBe('queued');
    pass(1);
    expect(job.state).toBe('cancelled');
  });

  test('that is detached needs nobody', () => {
    const { job, record } = jobOf(true);
    record.attach()();
    record.touch();
    pass(1000 * POLL);
    expect(job.state).toBe('queued');
  });
});

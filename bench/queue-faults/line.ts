import { execFileSync } from 'node:child_process';
import { Link } from '../../test/server/queue/link.js';

/** The line between a worker and Redis: it can be cut, so that neither side is told, and mended. */
export interface Line {
  readonly kind: 'network namespace' | 'proxy';
  /** Where the worker finds Redis. */
  readonly host: string;
  /** What a command begins with, so that it runs behind the line. */
  readonly command: readonly string[];
  cut(): void;
  mend(): void;
  close(): void;
}

const NAME = 'dcfaults';
const [NEAR, FAR] = ['10.231.77.1', '10.231.77.2'];

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'ignore' });

/** A network namespace with a pair of interfaces; undefined where this machine does not let us have one. */
export function namespaceLine(): Line | undefined {
  const remove = () => {
    for (const args of [
      ['link', 'del', `${NAME}0`],
      ['netns', 'del', NAME],
    ])
      try {
        ip(...args);
      } catch {}
  };
  remove();
  try {
    ip('netns', 'add', NAME);
    ip('link', 'add', `${NAME}0`, 'type', 'veth', 'peer', 'name', `${NAME}1`);
    ip('link', 'set', `${NAME}1`, 'netns', NAME);
    ip('addr', 'add', `${NEAR}/30`, 'dev', `${NAME}0`);
    ip('link', 'set', `${NAME}0`, 'up');
    ip('netns', 'exec', NAME, 'ip', 'addr', 'add', `${FAR}/30`, 'dev', `${NAME}1`);
    ip('netns', 'exec', NAME, 'ip', 'link', 'set', `${NAME}1`, 'up');
  } catch {
    remove();
    return undefined;
  }
  const set = (state: 'up' | 'down') => ip('netns', 'exec', NAME, 'ip', 'link', 'set', `${NAME}1`, state);
  return {
    ...{ kind: 'network namespace', host: NEAR, command: ['ip', 'netns', 'exec', NAME] },
    cut: () => set('down'),
    mend: () => set('up'),
    close: remove,
  };
}

export { Link };

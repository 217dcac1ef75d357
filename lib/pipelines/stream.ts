import type { RunOptions } from './inputs/options.js';
import { type GenerateResult, type OutputKind, resultOf, type StepEvent } from './outputs/result.js';

/** What `stream` yields: the steps, then the result. */
export type StreamEvent<Output extends OutputKind = OutputKind> =
  | ({ type: 'step' } & StepEvent)
  | ({ type: 'result' } & GenerateResult<Output>);

type Heard = Pick<RunOptions, 'onStep' | 'signal'>;

/**
 * The steps and the result of a run as they come. Leaving the loop early stops the run.
 *
 * @param start begins the run with options that are heard here.
 */
export async function* streamOf<Output extends OutputKind>(
  options: Heard,
  start: (options: Required<Heard>) => Promise<GenerateResult<Output>>,
): AsyncGenerator<StreamEvent<Output>, void, void> {
  const stop = new AbortController();
  const events: StreamEvent<Output>[] = [];
  let wake = () => {};
  let failure: { error: unknown } | undefined;
  let done = false;
  const push = (event: StreamEvent<Output>) => {
    events.push(event);
    wake();
  };
  const running = start({
    signal: options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal,
    onStep: (event) => {
      const returned = options.onStep?.(event);
      push({ type: 'step', ...event });
      return returned;
    },
  }).then(
    (result) => push(resultOf({ type: 'result' as const, ...result })),
    (error) => {
      failure = { error };
    },
  );
  const ended = running.then(() => {
    done = true;
    wake();
  });
  try {
    while (true) {
      const event = events.shift();
      if (event) yield event;
      else if (failure) throw failure.error;
      else if (done) return;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    stop.abort();
    await ended;
  }
}

import { AsyncLocalStorage } from 'node:async_hooks';
import type { NativeBackend, NativeReservation } from './types.js';

/** The memory that a run was promised, for the jobs that it starts. */
class RunMemory {
  #reservation: NativeReservation | undefined;

  hold(reservation: NativeReservation): void {
    this.#reservation?.release();
    this.#reservation = reservation;
  }

  start<T>(start: () => T): T {
    return this.#reservation ? this.#reservation.within(start) : start();
  }

  release(): void {
    this.#reservation?.release();
    this.#reservation = undefined;
  }
}

const current = new AsyncLocalStorage<RunMemory>();

/** Does a run's work; the memory that it reserves is its own until it ends. */
export async function withMemoryOfRun<T>(work: () => Promise<T>): Promise<T> {
  const memory = new RunMemory();
  try {
    return await current.run(memory, work);
  } finally {
    memory.release();
  }
}

/** Reserves bytes for the run that is under way. False when there is too little memory. */
export function reserveForRun(backend: NativeBackend, bytes: number): boolean {
  const reservation = backend.reserve(bytes);
  if (!reservation) return false;
  const run = current.getStore();
  if (run) run.hold(reservation);
  else reservation.release();
  return true;
}

/** What does later work in the memory of the run that is under way now, as long as it goes on. */
export function inThisRun(): <T>(work: () => T) => T {
  const run = current.getStore();
  return (work) => (run ? current.run(run, work) : work());
}

/** Starts a native job that takes its memory from what the run under way has reserved. */
export function startInRun<T>(start: () => T): T {
  const run = current.getStore();
  return run ? run.start(start) : start();
}

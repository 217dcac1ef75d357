// npx tsx bench/serving.ts [jobs] [--h200] [--demo]
//
// Arrival traces through the engine's own scheduler (lib/server/engine/schedule), on predicted times of an H200 and on
// measured ones of the demo model on this machine: how long jobs take under four policies. Prints Markdown.

import type { Policy } from '../lib/server/engine/schedule/scheduler.js';
import { machine } from './measure.js';
import { type Device, measuredDemo, predictedH200 } from './serving/device.js';
import { loneTime, simulate } from './serving/simulate.js';
import { type Arrivals, type Mix, makeTrace, mixed, same, type Trace } from './serving/traces.js';

const POLICIES: readonly Policy[] = ['serial', 'batched', 'joined', 'aligned'];
const NAMES: Readonly<Record<Policy, string>> = {
  serial: 'one after the other',
  batched: 'whole jobs in batches',
  joined: 'joined at any call',
  aligned: 'joined, phases aligned',
};
const LOADS = [0.5, 0.8, 0.95];
const SEED = 7;
const OVERLOAD = 2;

const given = process.argv.slice(2);
const count = Number(given.find((text) => /^\d+$/.test(text)) ?? 2000);
const devices: Device[] = [];
if (!given.includes('--demo')) devices.push(predictedH200());
if (!given.includes('--h200')) devices.push(await measuredDemo());

console.log(`# Serving: ${count} jobs of each trace, seed ${SEED}\n`);
console.log(`${JSON.stringify(machine())}\n`);
for (const device of devices) {
  console.log(`## ${device.name}\n`);
  const table = (name: string, values: Device['full']) =>
    `${name}: ${values.map(([n, ms]) => `${ms.toFixed(2)} ms of ${n} samples`).join(', ')}`;
  console.log(`${table('Full', device.full)}. ${table('Cached', device.retrieve)}.`);
  console.log(`Text ${device.encode.toFixed(2)} ms, picture ${device.decode.toFixed(2)} ms.\n`);
  const one = same({ steps: 50, interval: 3, pixels: device.pixels });
  for (const [mix, arrivals] of [
    [one, 'poisson'],
    [one, 'bursts'],
    [mixed(device.pixels), 'poisson'],
    [mixed(device.pixels), 'bursts'],
  ] as [Mix, Arrivals][])
    report(device, mix, arrivals);
}

function report(device: Device, mix: Mix, arrivals: Arrivals): void {
  const lone = meanLone(device, makeTrace(mix, arrivals, count, 1, SEED));
  console.log(`### ${mix.name}; ${arrivals}\n`);
  console.log(`A job takes ${lone.toFixed(1)} ms alone on average; load 1 is one job in that time.\n`);
  console.log(
    '| load | policy | p50 ms | p95 ms | p99 ms | slowdown p99 | short jobs p99 | samples of a full pass |',
  );
  console.log('|---|---|---|---|---|---|---|---|');
  for (const load of LOADS) {
    const trace = makeTrace(mix, arrivals, count, lone / load, SEED);
    for (const policy of POLICIES) {
      const { latencies, fullSamples } = simulate(device, trace, policy);
      const slowdowns = latencies.map((latency, i) => latency / loneTime(device, trace[i] as Trace[number]));
      const short = slowdowns.filter((_, i) => (trace[i]?.calls.length as number) <= 10);
      const cells = [
        ...[50, 95, 99].map((p) => percentile(latencies, p).toFixed(0)),
        `${percentile(slowdowns, 99).toFixed(1)}x`,
        short.length > 0 ? `${percentile(short, 99).toFixed(1)}x` : '',
        fullSamples.toFixed(1),
      ];
      console.log(`| ${load} | ${NAMES[policy]} | ${cells.join(' | ')} |`);
    }
  }
  capacity(device, mix, lone);
}

/** What the device does when more jobs come than it can do: they join at all moments. */
function capacity(device: Device, mix: Mix, lone: number): void {
  console.log(`\nJobs a second when ${OVERLOAD} times as many come as one after the other can be done:\n`);
  console.log('| places | policy | jobs a second | against one after the other | samples of a full pass |');
  console.log('|---|---|---|---|---|');
  const trace = makeTrace(mix, 'poisson', Math.min(count, 400), lone / OVERLOAD, SEED);
  const serial = (1000 * trace.length) / simulate(device, trace, 'serial').makespan;
  const gains: string[] = [];
  for (const places of [4, 16]) {
    const rates = POLICIES.map((policy) => {
      const { makespan, fullSamples } = simulate(device, trace, policy, places);
      const rate = (1000 * trace.length) / makespan;
      const cells = [places, NAMES[policy], rate.toFixed(2), `${(rate / serial).toFixed(2)}x`];
      console.log(`| ${cells.join(' | ')} | ${fullSamples.toFixed(1)} |`);
      return rate;
    });
    const [joined, aligned] = [rates[2] as number, rates[3] as number];
    gains.push(`${(100 * (aligned / joined - 1)).toFixed(1)} % with ${places} places`);
  }
  console.log(`\nPhase alignment makes more jobs a second: ${gains.join(', ')}.\n`);
}

function meanLone(device: Device, trace: Trace): number {
  return trace.reduce((sum, job) => sum + loneTime(device, job), 0) / trace.length;
}

function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil((percent / 100) * sorted.length) - 1)] as number;
}

import type { DeviceInfo } from '../native/types.js';

/** Each backend on a line: what it is, or the reason why it cannot be used. */
export function deviceText(devices: readonly DeviceInfo[]): string {
  const width = Math.max(...devices.map(({ device }) => device.length));
  return devices
    .map(({ device, name, available, reason }) => {
      const state = available ? 'available' : `not available: ${reason}`;
      return `${device.padEnd(width)}  ${name}: ${state}\n`;
    })
    .join('');
}

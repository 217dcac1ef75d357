/** The release of diffusers that configurations without a version mean. */
export const CURRENT_VERSION = '0.40.0';

/** A release of diffusers, without its patch number. */
export type Release = readonly [major: number, minor: number];

/** Whether a `_diffusers_version`, such as '0.19.0.dev0', is one before a release. One that cannot be read is not. */
export function isOlder(version: unknown, [major, minor]: Release): boolean {
  const match = typeof version === 'string' ? /^(\d{1,4})\.(\d{1,4})(?:\.|$)/.exec(version) : null;
  if (!match) return false;
  const [a, b] = [Number(match[1]), Number(match[2])];
  return a < major || (a === major && b < minor);
}

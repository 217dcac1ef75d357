import { fileAndRest } from './arguments.js';

interface ControlFlags {
  readonly control?: readonly string[];
  readonly controlNet?: readonly string[];
  readonly controlImage?: readonly unknown[];
}

/** Flags with their `control`, FILE=picture, as ControlNets and what these see; a file that is named again sees one more. */
export function withControls<Flags extends ControlFlags>({
  control = [],
  ...flags
}: Flags): Omit<Flags, 'control'> {
  if (control.length === 0) return flags;
  const pictures = new Map<string, string[]>();
  for (const text of control) {
    const [file, picture] = fileAndRest('control', 'FILE=picture', text);
    pictures.set(file, [...(pictures.get(file) ?? []), picture]);
  }
  const { controlNet = [], controlImage = [] } = flags;
  const seen = [...pictures.values()];
  const several = controlNet.length + pictures.size > 1;
  return {
    ...flags,
    controlNet: [...controlNet, ...pictures.keys()],
    controlImage: [
      ...controlImage,
      ...(several ? seen.map((own) => (own.length > 1 ? own : own[0])) : seen.flat()),
    ],
  };
}

import { show } from '../../messages.js';
import { PickleProblem } from './bytes.js';
import { rebuildTensor, tensorOf } from './tensors.js';
import { InertClass, InertObject, type PickleValue } from './values.js';

// The names that pickles of weights may hold. Nothing of Python exists here: a few of them stand for what is written
// below, the others for objects that nothing is done with, and every other name makes the file be refused.

/** Of torch's storages, in safetensors' words. */
const STORAGES: Readonly<Record<string, string | undefined>> = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
  ComplexFloatStorage: 'C64',
  UntypedStorage: undefined,
};

const DTYPES: Readonly<Record<string, string>> = {
  float64: 'F64',
  double: 'F64',
  float32: 'F32',
  float: 'F32',
  float16: 'F16',
  half: 'F16',
  bfloat16: 'BF16',
  float8_e4m3fn: 'F8_E4M3',
  float8_e5m2: 'F8_E5M2',
  int64: 'I64',
  long: 'I64',
  int32: 'I32',
  int: 'I32',
  int16: 'I16',
  short: 'I16',
  int8: 'I8',
  uint8: 'U8',
  bool: 'BOOL',
  complex64: 'C64',
};

/** What calls of the names make. */
const FUNCTIONS: Readonly<Record<string, (args: readonly PickleValue[]) => PickleValue>> = {
  'torch._utils._rebuild_tensor': rebuildTensor,
  'torch._utils._rebuild_tensor_v2': rebuildTensor,
  'torch._utils._rebuild_tensor_v3': (args) => rebuildTensor(args, dtypeOf(args[6])),
  'torch._utils._rebuild_parameter': ([data]) => tensorOf(data),
  'torch._utils._rebuild_parameter_with_state': ([data]) => tensorOf(data),
  'torch.nn.parameter.Parameter': ([data]) => tensorOf(data),
  'collections.OrderedDict': ([pairs]) => dictionary(pairs),
  'collections.defaultdict': ([, pairs]) => dictionary(pairs),
  'collections.Counter': ([pairs]) => dictionary(pairs),
  'torch.Size': ([shape]) => (Array.isArray(shape) ? shape : []),
};

/** Python's own that make plain data. */
const BUILTINS =
  /^(?:__builtin__|builtins)\.(?:set|frozenset|dict|list|tuple|int|long|float|str|unicode|bool|bytes|bytearray|complex|slice|range|xrange|object)$/;

/** Data of libraries that training code leaves in checkpoints, beside the weights. */
const HARMLESS = [
  /^numpy\.(?:_?core\.multiarray\.(?:scalar|_reconstruct)|ndarray|dtype|dtypes\.\w+|u?int\d+|float\d+|bool_?)$/,
  /^_codecs\.encode$/,
  /^(?:argparse\.Namespace|typing\.Any|torch\.device|torch\.storage\._?TypedStorage)$/,
  /^pathlib\.(?:Pure)?(?:Posix|Windows)?Path$/,
  /^datetime\.(?:datetime|date|time|timedelta|timezone)$/,
  // Classes only, by Python's way of writing them.
  /^(?:pytorch_lightning|lightning|lightning_fabric|omegaconf|transformers|diffusers|ldm|sgm|torch\.nn|torch\.optim)\.(?:[a-z_]\w*\.)*[A-Z]\w*$/,
];

/** A name that a pickle holds; or an error, where it is none that weights need. */
export function globalOf(module: string, name: string): InertClass {
  const full = `${module}.${name}`;
  const known =
    Object.hasOwn(FUNCTIONS, full) ||
    storageDtype(full) !== null ||
    Object.hasOwn(DTYPES, afterTorch(full)) ||
    BUILTINS.test(full) ||
    HARMLESS.some((pattern) => pattern.test(full));
  if (!known) {
    throw new PickleProblem(
      `is a pickle that would run ${show(full)}: files of weights need nothing of the kind, and it was not run; do not load it with other programs`,
    );
  }
  return new InertClass(full);
}

/** What a call would make; of most names, an object that nothing is done with. */
export function call(callee: PickleValue, args: PickleValue): PickleValue {
  if (!(callee instanceof InertClass) || !Array.isArray(args)) {
    throw new PickleProblem('calls what is no class, or with what are no arguments');
  }
  const known = Object.hasOwn(FUNCTIONS, callee.name) ? FUNCTIONS[callee.name] : undefined;
  return known ? known(args) : new InertObject(callee.name, args);
}

/** Of a storage's class: its dtype, undefined for bytes, null when it is none. */
export function storageDtype(name: string): string | undefined | null {
  const storage = /^torch\.(?:cuda\.|storage\.)?(\w+)$/.exec(name)?.[1] ?? '';
  return Object.hasOwn(STORAGES, storage) ? STORAGES[storage] : null;
}

function dtypeOf(value: PickleValue | undefined): string {
  const dtype = value instanceof InertClass ? DTYPES[afterTorch(value.name)] : undefined;
  if (!dtype) throw new PickleProblem(`has a tensor of a type that is not known`);
  return dtype;
}

function afterTorch(name: string): string {
  return name.startsWith('torch.') ? name.slice('torch.'.length) : '';
}

/** Filled by what follows in the pickle. A call costs no more than its bytes: nothing is copied. */
function dictionary(given: PickleValue | undefined): Map<PickleValue, PickleValue> {
  if (given instanceof Map) return given;
  if (Array.isArray(given) && given.length > 0)
    throw new PickleProblem('has a dictionary as Python 2 wrote them');
  return new Map();
}

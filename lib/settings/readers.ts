import { type DeepCacheError, invalidArgument } from '../errors.js';

/** Makes options of a field's text. Throws what is wrong with it. */
export type Reader = (value: string, name: string) => Readonly<Record<string, unknown>>;

export const text = (option: string): Reader => {
  return (value) => ({ [option]: value });
};
export const number = (option: string, change = (value: number) => value): Reader => {
  return (text, name) => {
    const value = Number(text);
    if (text === '' || !Number.isFinite(value)) throw notA(name, 'a number', text);
    return { [option]: change(value) };
  };
};
export const list = (option: string): Reader => {
  return (text, name) => {
    const values = text.split(' ').map(Number);
    if (!values.every(Number.isFinite)) throw notA(name, 'numbers', text);
    return { [option]: values };
  };
};
export const json = (option: string): Reader => {
  return (text, name) => {
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { [option]: value };
    } catch {}
    throw notA(name, 'an object in JSON', text);
  };
};
export const flag = (option: string): Reader => {
  return (text, name) => {
    if (text !== 'true') throw notA(name, 'true', text);
    return { [option]: true };
  };
};

export function notA(name: string, what: string, text: string): DeepCacheError {
  return invalidArgument('from', `has ${name}: ${JSON.stringify(text.slice(0, 80))}, which is not ${what}`);
}

export const texts = (option: string): Reader => {
  return (text, name) => {
    try {
      const value: unknown = JSON.parse(text);
      if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return { [option]: value };
    } catch {}
    throw notA(name, 'a list of texts in JSON', text);
  };
};

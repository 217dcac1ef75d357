/** A value of a type, for expressions that are compiled and never run. */
export declare function value<T>(): T;

/** Compiles where both types are the same. */
export declare function same<A, B>(
  ...proof: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? [] : ['the types differ']
): void;

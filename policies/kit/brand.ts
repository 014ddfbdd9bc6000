declare const brand: unique symbol;

/** A primitive that was parsed once and may not be mixed up with another of the same shape. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

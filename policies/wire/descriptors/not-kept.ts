/** The library reads nothing of a `.proto` file's own form, so it is not kept at run time: it is in `gen/descriptors.binpb`. */
export function notKept(of: { toString(): string }): never {
  throw new Error(`the proto of ${of} is not kept`);
}

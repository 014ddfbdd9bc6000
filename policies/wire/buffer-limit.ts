interface Limited {
  readonly bufferBytesMax?: number;
}

/** The same field of listeners and of clusters. 0 is none of its own, and Weft's bounds stand in any case. */
export const decodeBufferLimit = ({
  perConnectionBufferLimitBytes: bytes = 0,
}: {
  readonly perConnectionBufferLimitBytes?: number | undefined;
}): Limited => (bytes === 0 ? {} : { bufferBytesMax: bytes });

export const encodeBufferLimit = ({ bufferBytesMax }: Limited): { perConnectionBufferLimitBytes?: number } =>
  bufferBytesMax === undefined ? {} : { perConnectionBufferLimitBytes: bufferBytesMax };

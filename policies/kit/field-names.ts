/** What a codec writes itself, from what it knows of the message and the connection. */
const OF_THE_CODEC = new Set(
  'host content-length transfer-encoding connection keep-alive proxy-connection upgrade te trailer http2-settings'.split(
    ' ',
  ),
);
export const isOfTheCodec = (name: string): boolean => OF_THE_CODEC.has(name.toLowerCase());

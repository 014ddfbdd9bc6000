import { codec } from "../wire/codec.ts"; export const encoded = codec;

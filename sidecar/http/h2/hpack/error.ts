export type HpackErrorKind =
  | 'integer-overflow'
  | 'index'
  | 'huffman'
  | 'truncated'
  | 'table-size'
  | 'table-size-missing'
  | 'string-too-long';

/** Each is a connection error COMPRESSION_ERROR: the table is no longer that of the peer (RFC 9113 section 4.3). */
export interface HpackError {
  readonly kind: HpackErrorKind;
  readonly section: string;
  readonly detail: string;
}

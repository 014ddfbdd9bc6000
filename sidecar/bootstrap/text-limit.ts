/** Of a bootstrap, and of a file that it names for endpoints. */
export const TEXT_BYTES_MAX = 4_194_304;

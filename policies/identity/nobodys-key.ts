/**
 * A set of keys that verifies nothing: for issuers whose keys are not known. An Envoy refuses a listener whose set is
 * empty, and with it all that the listener would say. The point's x is the first SHA-256 of "weft: nobody has this key N",
 * N = 0, 1, ..., that is on the curve, so that nobody can know the private key, whoever wrote this down.
 */
export const nobodysKeys =
  '{"keys":[{"kty":"EC","crv":"P-256","kid":"weft.dev/nobody","use":"sig","alg":"ES256","x":"zVHttSZSjNLXJgus7ZO_cpPVpt_KErKFo2c3rNDcWcg","y":"zmU2xxAl02LURcPVawCgyWTOPmQORHGbVXrT4JNB8HY"}]}';

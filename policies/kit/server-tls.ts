/**
 * TLS of the servers that other programs than sidecars speak to: clients of xDS, the API server. TLS 1.2 is left on for
 * Envoy, whose clients offer no more unless told (`tls_maximum_protocol_version`); of its ciphers those with forward
 * secrecy and authenticated encryption (RFC 9325 section 4.2).
 */
export const serverTls = {
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
  ].join(':'),
  /** Node would wait for two minutes, and a connection that says nothing costs a descriptor. */
  handshakeTimeout: 10_000,
} as const;

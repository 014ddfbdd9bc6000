/** Certificates of authorities that sign nothing: their keys are gone. */
const pem = (...lines: readonly string[]): string =>
  `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;

export const firstCa: string = pem(
  'MIIBdDCCARmgAwIBAgIUZYIrnmrKJfevbG51XvVKSb5TCUEwCgYIKoZIzj0EAwIw',
  'DjEMMAoGA1UEAwwDY2ExMCAXDTI2MTEyMTIxMjk0M1oYDzIxMjYxMDI4MjEyOTQz',
  'WjAOMQwwCgYDVQQDDANjYTEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARMhklh',
  'hTAptqr69VH4tQNpQVCe0lgdubq0HZ3B7LdPZLsDo8FNkNoSmvdmSbFOgft1SU9j',
  '5nLDC4e5iFnyK5V2o1MwUTAdBgNVHQ4EFgQUTX3bHa12UieUmLLJWN0pLEAgwJUw',
  'HwYDVR0jBBgwFoAUTX3bHa12UieUmLLJWN0pLEAgwJUwDwYDVR0TAQH/BAUwAwEB',
  '/zAKBggqhkjOPQQDAgNJADBGAiEAm+GEiZVBO9PIYQhXV1a6OTxrIaiPobS08Ep+',
  'qxsLuwQCIQDZVjAo7o7qhUEBmSbV4jcE2mDp15i0K6GWntAWn+urgg==',
);

export const secondCa: string = pem(
  'MIIBdDCCARmgAwIBAgIUb0r7ZU7YO3HC0SFEtZQyiMFhvx4wCgYIKoZIzj0EAwIw',
  'DjEMMAoGA1UEAwwDY2EyMCAXDTI2MTEyMTIxMjk0M1oYDzIxMjYxMDI4MjEyOTQz',
  'WjAOMQwwCgYDVQQDDANjYTIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARWjS43',
  'N6/Iq4RoAoRjZmqG/JXhot3unl3rj7Ytckla/RNgG8KzaQeMGNzRweRWLADtSEgq',
  'GnRjjYD037quxF5ro1MwUTAdBgNVHQ4EFgQUEAWJtfSqBg7OzponYBS3xl3/M/Yw',
  'HwYDVR0jBBgwFoAUEAWJtfSqBg7OzponYBS3xl3/M/YwDwYDVR0TAQH/BAUwAwEB',
  '/zAKBggqhkjOPQQDAgNJADBGAiEAhMXfL91T0YJbUFLWdCYh6EsnBmQPHUO0icqf',
  'xblNhLoCIQDolIMEpfpwWmM28A7fQ1NQi8TsyuSagLy2zx/2gYJy+g==',
);

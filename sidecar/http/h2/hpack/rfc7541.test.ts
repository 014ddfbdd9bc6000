/** The examples of RFC 7541 appendix C. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ByteWriter } from './byte-writer.ts';
import { HpackDecoder } from './decoder.ts';
import { huffmanEncode } from './huffman.ts';
import { decodeAll, hex, type NameAndValue } from './testing.ts';

const newDecoder = (): HpackDecoder =>
  new HpackDecoder({ tableBytesMax: 4_096, stringBytesMax: 65_536, keepsCase: false });

interface Example {
  readonly section: string;
  readonly block: string;
  readonly fields: readonly NameAndValue[];
  readonly tableBytes: number;
}

function check(decoder: HpackDecoder, example: Example): void {
  const fields = decodeAll(decoder, hex(example.block)).map(({ name, value }) => [name, value]);
  assert.deepEqual(fields, example.fields);
  assert.equal(decoder.tableBytes, example.tableBytes);
}

const single: readonly Example[] = [
  {
    section: 'C.2.1 literal with indexing',
    block: '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
    fields: [['custom-key', 'custom-header']],
    tableBytes: 55,
  },
  {
    section: 'C.2.2 literal without indexing',
    block: '040c 2f73 616d 706c 652f 7061 7468',
    fields: [[':path', '/sample/path']],
    tableBytes: 0,
  },
  {
    section: 'C.2.3 literal never indexed',
    block: '1008 7061 7373 776f 7264 0673 6563 7265 74',
    fields: [['password', 'secret']],
    tableBytes: 0,
  },
  { section: 'C.2.4 indexed', block: '82', fields: [[':method', 'GET']], tableBytes: 0 },
];

const requestFields: readonly (readonly NameAndValue[])[] = [
  [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ],
  [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
    ['cache-control', 'no-cache'],
  ],
  [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ],
];
const responseFields: readonly (readonly NameAndValue[])[] = [
  [
    [':status', '302'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['location', 'https://www.example.com'],
  ],
  [
    [':status', '307'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['location', 'https://www.example.com'],
  ],
  [
    [':status', '200'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
    ['location', 'https://www.example.com'],
    ['content-encoding', 'gzip'],
    ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
  ],
];

/** Heads that follow each other on one connection. */
interface Sequence {
  readonly section: string;
  readonly blocks: readonly string[];
  readonly fields: readonly (readonly NameAndValue[])[];
  readonly tableBytes: readonly number[];
  /** Both sides agreed on that size before. */
  readonly tableSize?: string;
}

const sequences: readonly Sequence[] = [
  {
    section: 'C.3 requests without Huffman coding',
    blocks: [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ],
    fields: requestFields,
    tableBytes: [57, 110, 164],
  },
  {
    section: 'C.4 requests with Huffman coding',
    blocks: [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ],
    fields: requestFields,
    tableBytes: [57, 110, 164],
  },
  {
    section: 'C.5 responses without Huffman coding, with evictions',
    tableSize: '3fe1 01',
    blocks: [
      `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d
       546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
      '4803 3330 37c1 c0bf',
      `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f
       6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b
       2076 6572 7369 6f6e 3d31`,
    ],
    fields: responseFields,
    tableBytes: [222, 222, 215],
  },
  {
    section: 'C.6 responses with Huffman coding, with evictions',
    tableSize: '3fe1 01',
    blocks: [
      `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7
       8f0b 97c8 e9ae 82ae 43d3`,
      '4883 640e ffc1 c0bf',
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335
       dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
    ],
    fields: responseFields,
    tableBytes: [222, 222, 215],
  },
];

describe('RFC 7541 appendix C', () => {
  for (const [block, bytes] of [
    ['2a', 10],
    ['3f 9a0a', 1_337],
  ] as const) {
    test(`C.1 integers: ${bytes}`, () => {
      // The only integer that shows by itself is that of a size update, whose prefix has the five bits of the examples.
      const decoder = newDecoder();
      decodeAll(decoder, hex(block));
      const fitting = `40 01 61 ${lengthOf(bytes - 33)}`;
      decodeAll(decoder, Buffer.concat([hex(fitting), Buffer.alloc(Math.max(0, bytes - 33), 0x62)]));
      assert.equal(decoder.tableBytes, bytes >= 33 ? bytes : 0);
    });
  }

  for (const example of single) test(example.section, () => check(newDecoder(), example));

  for (const { section, blocks, fields, tableBytes, tableSize } of sequences) {
    test(section, () => {
      const decoder = newDecoder();
      if (tableSize !== undefined) decodeAll(decoder, hex(tableSize));
      for (const [i, block] of blocks.entries()) {
        check(decoder, { section, block, fields: fields[i] ?? [], tableBytes: tableBytes[i] ?? -1 });
      }
    });
  }

  for (const [text, encoded] of [
    ['www.example.com', 'f1e3 c2e5 f23a 6ba0 ab90 f4ff'],
    ['no-cache', 'a8eb 1064 9cbf'],
    ['custom-key', '25a8 49e9 5ba9 7d7f'],
    ['custom-value', '25a8 49e9 5bb8 e8b4 bf'],
    ['Mon, 21 Oct 2013 20:13:21 GMT', 'd07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff'],
    ['https://www.example.com', '9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3'],
  ] as const) {
    test(`C.4 and C.6: Huffman code of ${text}`, () => {
      const out = new ByteWriter(64);
      huffmanEncode(text, out);
      assert.deepEqual(out.written(), hex(encoded));
    });
  }
});

/** The length octets of a plain string, section 5.1. */
function lengthOf(bytes: number): string {
  if (bytes < 0) return '00';
  const rest = bytes - 0x7f;
  return Buffer.from([0x7f, (rest & 0x7f) | 0x80, rest >> 7]).toString('hex');
}

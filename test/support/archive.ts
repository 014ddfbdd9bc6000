/** Reads single members out of a gzipped tar and out of a zip, both wholly in memory. */
import { gunzipSync, inflateRawSync } from 'node:zlib';

const blockBytes = 512;
const text = (bytes: Buffer): string => bytes.toString('utf8').replace(/\0.*$/s, '');

/** One member of a ustar archive (POSIX.1-1988; npm writes no other form for short names). */
export function tarEntry(tarball: Buffer, wanted: string): Buffer {
  const tar = gunzipSync(tarball);
  for (let offset = 0; offset + blockBytes <= tar.length; ) {
    const header = tar.subarray(offset, offset + blockBytes);
    const name = text(header.subarray(0, 100));
    if (name === '') break;
    const prefix = text(header.subarray(345, 500));
    const size = Number.parseInt(text(header.subarray(124, 136)), 8);
    const start = offset + blockBytes;
    if ((prefix === '' ? name : `${prefix}/${name}`) === wanted) return tar.subarray(start, start + size);
    offset = start + Math.ceil(size / blockBytes) * blockBytes;
  }
  throw new Error(`the archive has no ${wanted}`);
}

const endSignature = 0x06054b50;
const centralSignature = 0x02014b50;
const endBytesMin = 22;

/** Members of a zip whose names are wanted (APPNOTE 6.3, sections 4.3.12 and 4.3.16; no zip64, no encryption). */
export function* zipEntries(zip: Buffer, wanted: (name: string) => boolean): Generator<readonly [string, Buffer]> {
  let end = zip.length - endBytesMin;
  while (end >= 0 && zip.readUInt32LE(end) !== endSignature) end--;
  if (end < 0) throw new Error('not a zip file');
  let offset = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    if (zip.readUInt32LE(offset) !== centralSignature) throw new Error('the directory of the zip file is damaged');
    const method = zip.readUInt16LE(offset + 10);
    const compressedBytes = zip.readUInt32LE(offset + 20);
    const nameBytes = zip.readUInt16LE(offset + 28);
    const name = zip.toString('utf8', offset + 46, offset + 46 + nameBytes);
    const local = zip.readUInt32LE(offset + 42);
    if (wanted(name)) {
      // The local header repeats the name, with an extra field of its own length.
      const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
      const packed = zip.subarray(start, start + compressedBytes);
      yield [name, method === 0 ? packed : inflateRawSync(packed)];
    }
    offset += 46 + nameBytes + zip.readUInt16LE(offset + 30) + zip.readUInt16LE(offset + 32);
  }
}

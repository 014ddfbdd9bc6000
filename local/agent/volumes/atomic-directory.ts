import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

export interface VolumeFile {
  /** Relative, without `..`; may hold folders. */
  readonly path: string;
  readonly content: Buffer;
  readonly mode: number;
}

interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

const DATA = '..data';

/** A relative path that stays inside the volume; names that start with `..` are the volume's own. */
export function isSafeRelativePath(path: string): boolean {
  const parts = path.split('/');
  return (
    path !== '' &&
    !path.startsWith('/') &&
    !path.includes('\0') &&
    !parts.includes('..') &&
    !(parts[0] ?? '').startsWith('..')
  );
}

function digestOf(files: readonly VolumeFile[], owner: FileOwner): string {
  const hash = createHash('sha256').update(`${owner.uid}:${owner.gid}`);
  for (const file of files) hash.update(`\0${file.path}\0${file.mode}\0${file.content.length}\0`).update(file.content);
  return hash.digest('hex').slice(0, 16);
}

function currentVersion(directory: string): string | undefined {
  try {
    return readlinkSync(join(directory, DATA));
  } catch {
    return undefined;
  }
}

/**
 * Writes a set of files so that a reader sees the old set or the new one and never a mix: the files lie in a versioned folder, `..data`
 * points to it and is replaced by one rename, and what the reader opens are links through `..data`. The layout is kubelet's, because
 * programs that watch mounted configuration rely on it. Returns whether something changed.
 */
export function writeAtomically(directory: string, files: readonly VolumeFile[], owner: FileOwner): boolean {
  const version = `..${digestOf(files, owner)}`;
  const former = currentVersion(directory);
  if (former === version) return false;
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const target = join(directory, version);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { mode: 0o755 });
  for (const file of files) {
    const path = join(target, file.path);
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    writeFileSync(path, file.content, { mode: 0o600 });
    chownSync(path, owner.uid, owner.gid);
    chmodSync(path, file.mode);
  }
  const temporary = join(directory, '..data_tmp');
  rmSync(temporary, { force: true });
  symlinkSync(version, temporary);
  renameSync(temporary, join(directory, DATA));
  const tops = new Set(files.map((file) => file.path.split('/')[0] ?? ''));
  for (const name of tops) {
    const link = join(directory, name);
    if (!isLink(link)) symlinkSync(join(DATA, name), link);
  }
  for (const name of readdirSync(directory))
    if (!name.startsWith('..') && !tops.has(name)) rmSync(join(directory, name));
  if (former !== undefined) rmSync(join(directory, former), { recursive: true, force: true });
  return true;
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

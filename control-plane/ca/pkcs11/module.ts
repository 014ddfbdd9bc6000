/**
 * A PKCS#11 module (OASIS PKCS #11 v2.40) through FFI, as much as signing with one key takes. Its functions are called by
 * name and block: this runs in a thread of its own. Layout of the structures: 64-bit Linux, CK_ULONG of eight octets.
 */
import { dlopen, getRawPointer } from 'node:ffi';

const ulong = 8;
/** CK_ATTRIBUTE and CK_MECHANISM: type, pointer, length. */
const attributeBytes = 3 * ulong;

const CKF_SERIAL_SESSION = 4n;
const CKU_USER = 1n;
const CKM_ECDSA = 0x1041n;
const CKO_PRIVATE_KEY = 3n;
const CKK_EC = 3n;
const CKA = {
  class: 0n,
  label: 3n,
  keyType: 0x100n,
  id: 0x102n,
  sensitive: 0x103n,
  sign: 0x108n,
  extractable: 0x162n,
  ecParams: 0x180n,
} as const;
const ok = 0n;
const alreadyInitialized = 0x191n;
const alreadyLoggedIn = 0x100n;
const pinIncorrect = 0xa0n;
const signatureBytesMax = 128;
const slotsMax = 64;
/** DER of the object identifier of P-256. */
const p256 = Buffer.from('06082a8648ce3d030107', 'hex');

const errorNames: ReadonlyMap<bigint, string> = new Map([
  [0x05n, 'CKR_GENERAL_ERROR'],
  [0x30n, 'CKR_DEVICE_ERROR'],
  [0x32n, 'CKR_DEVICE_REMOVED'],
  [0x63n, 'CKR_KEY_TYPE_INCONSISTENT'],
  [pinIncorrect, 'CKR_PIN_INCORRECT'],
  [0xa4n, 'CKR_PIN_LOCKED'],
  [0xb0n, 'CKR_SESSION_CLOSED'],
  [0xb3n, 'CKR_SESSION_HANDLE_INVALID'],
  [0xe0n, 'CKR_TOKEN_NOT_PRESENT'],
  [0x101n, 'CKR_USER_NOT_LOGGED_IN'],
]);

export interface KeyPlace {
  readonly module: string;
  readonly tokenLabel: string;
  /** Of the private key; at least one of the two. */
  readonly keyLabel: string | undefined;
  readonly keyIdHex: string | undefined;
}

const signatures = {
  C_Initialize: { return: 'uint64', arguments: ['pointer'] },
  C_GetSlotList: { return: 'uint64', arguments: ['uint8', 'pointer', 'pointer'] },
  C_GetTokenInfo: { return: 'uint64', arguments: ['uint64', 'pointer'] },
  C_OpenSession: { return: 'uint64', arguments: ['uint64', 'uint64', 'pointer', 'pointer', 'pointer'] },
  C_CloseSession: { return: 'uint64', arguments: ['uint64'] },
  C_Login: { return: 'uint64', arguments: ['uint64', 'uint64', 'pointer', 'uint64'] },
  C_FindObjectsInit: { return: 'uint64', arguments: ['uint64', 'pointer', 'uint64'] },
  C_FindObjects: { return: 'uint64', arguments: ['uint64', 'pointer', 'uint64', 'pointer'] },
  C_FindObjectsFinal: { return: 'uint64', arguments: ['uint64'] },
  C_GetAttributeValue: { return: 'uint64', arguments: ['uint64', 'uint64', 'pointer', 'uint64'] },
  C_SignInit: { return: 'uint64', arguments: ['uint64', 'pointer', 'uint64'] },
  C_Sign: { return: 'uint64', arguments: ['uint64', 'pointer', 'uint64', 'pointer', 'pointer'] },
} as const;

/** What a call is given is kept until it has returned; the module keeps none of it. */
class Memory {
  private readonly kept: Buffer[] = [];

  take(bytes: number | Uint8Array): bigint {
    const size = typeof bytes === 'number' ? bytes : bytes.length;
    const buffer = Buffer.allocUnsafeSlow(Math.max(size, 1)).fill(0);
    if (typeof bytes !== 'number') buffer.set(bytes);
    this.kept.push(buffer);
    return getRawPointer(buffer);
  }

  get last(): Buffer {
    return this.kept.at(-1) ?? Buffer.alloc(0);
  }

  attributes(list: readonly { readonly type: bigint; readonly value: Uint8Array }[]): bigint {
    const table = Buffer.alloc(list.length * attributeBytes);
    list.forEach(({ type, value }, index) => {
      table.writeBigUInt64LE(type, index * attributeBytes);
      table.writeBigUInt64LE(value.length === 0 ? 0n : this.take(value), index * attributeBytes + ulong);
      table.writeBigUInt64LE(BigInt(value.length), index * attributeBytes + 2 * ulong);
    });
    return this.take(table);
  }
}

const ulongOf = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(ulong);
  bytes.writeBigUInt64LE(value);
  return bytes;
};

function check(call: string, result: bigint): void {
  if (result === ok) return;
  throw new Error(`${call} answered ${errorNames.get(result) ?? `0x${result.toString(16)}`}`);
}

export class Pkcs11Key {
  private readonly functions;
  private readonly place: KeyPlace;
  private readonly pin: string;
  private readonly onPinRefused: () => void;
  private session: bigint | undefined;
  private key = 0n;

  constructor(place: KeyPlace, pin: string, onPinRefused: () => void) {
    this.place = place;
    this.pin = pin;
    this.onPinRefused = onPinRefused;
    this.functions = dlopen(place.module, signatures).functions;
    const result = this.functions.C_Initialize(0n);
    if (result !== alreadyInitialized) check('C_Initialize', result);
  }

  /** r and s of ECDSA over a digest, each of 32 octets. After a failure the session is opened anew, once. */
  sign(digest: Uint8Array): Uint8Array {
    if (this.session === undefined) return this.signOnce(digest);
    try {
      return this.signOnce(digest);
    } catch {
      this.close();
      return this.signOnce(digest);
    }
  }

  close(): void {
    if (this.session !== undefined) this.functions.C_CloseSession(this.session);
    this.session = undefined;
  }

  private signOnce(digest: Uint8Array): Uint8Array {
    const session = this.session ?? this.open();
    const memory = new Memory();
    check(
      'C_SignInit',
      this.functions.C_SignInit(session, memory.attributes([{ type: CKM_ECDSA, value: Buffer.alloc(0) }]), this.key),
    );
    const data = memory.take(digest);
    const length = memory.take(ulongOf(BigInt(signatureBytesMax)));
    const lengthBytes = memory.last;
    const signature = memory.take(signatureBytesMax);
    const out = memory.last;
    check('C_Sign', this.functions.C_Sign(session, data, BigInt(digest.length), signature, length));
    return Uint8Array.from(out.subarray(0, Number(lengthBytes.readBigUInt64LE())));
  }

  private open(): bigint {
    const slot = this.slot();
    const memory = new Memory();
    const handle = memory.take(ulong);
    const handleBytes = memory.last;
    check('C_OpenSession', this.functions.C_OpenSession(slot, CKF_SERIAL_SESSION, 0n, 0n, handle));
    const session = handleBytes.readBigUInt64LE();
    try {
      const pin = Buffer.from(this.pin, 'utf8');
      const login = this.functions.C_Login(session, CKU_USER, memory.take(pin), BigInt(pin.length));
      memory.last.fill(0);
      if (login === pinIncorrect) this.onPinRefused();
      if (login !== alreadyLoggedIn) check('C_Login', login);
      this.key = this.find(session);
      this.checkKept(session);
    } catch (error) {
      this.functions.C_CloseSession(session);
      throw error;
    }
    this.session = session;
    return session;
  }

  private slot(): bigint {
    const memory = new Memory();
    const count = memory.take(ulongOf(BigInt(slotsMax)));
    const countBytes = memory.last;
    const list = memory.take(slotsMax * ulong);
    const slots = memory.last;
    check('C_GetSlotList', this.functions.C_GetSlotList(1, list, count));
    const seen: string[] = [];
    for (let index = 0; index < Number(countBytes.readBigUInt64LE()); index++) {
      const slot = slots.readBigUInt64LE(index * ulong);
      const info = memory.take(512);
      if (this.functions.C_GetTokenInfo(slot, info) !== ok) continue;
      // CK_TOKEN_INFO begins with the label, 32 octets padded with blanks.
      const label = memory.last.toString('utf8', 0, 32).trimEnd();
      if (label === this.place.tokenLabel) return slot;
      seen.push(`"${label}"`);
    }
    throw new Error(`no token is labelled "${this.place.tokenLabel}"; there are ${seen.join(', ') || 'none'}`);
  }

  private find(session: bigint): bigint {
    const { keyLabel, keyIdHex } = this.place;
    const memory = new Memory();
    const wanted = [
      { type: CKA.class, value: ulongOf(CKO_PRIVATE_KEY) },
      ...(keyLabel === undefined ? [] : [{ type: CKA.label, value: Buffer.from(keyLabel, 'utf8') }]),
      ...(keyIdHex === undefined ? [] : [{ type: CKA.id, value: Buffer.from(keyIdHex, 'hex') }]),
    ];
    check(
      'C_FindObjectsInit',
      this.functions.C_FindObjectsInit(session, memory.attributes(wanted), BigInt(wanted.length)),
    );
    const count = memory.take(ulong);
    const countBytes = memory.last;
    const found = memory.take(2 * ulong);
    const handles = memory.last;
    const result = this.functions.C_FindObjects(session, found, 2n, count);
    this.functions.C_FindObjectsFinal(session);
    check('C_FindObjects', result);
    const name = [
      keyLabel === undefined ? [] : `label "${keyLabel}"`,
      keyIdHex === undefined ? [] : `id ${keyIdHex}`,
    ].flat();
    const matches = countBytes.readBigUInt64LE();
    if (matches === 0n)
      throw new Error(`token "${this.place.tokenLabel}" has no private key with ${name.join(' and ')}`);
    if (matches > 1n)
      throw new Error(`token "${this.place.tokenLabel}" has several private keys with ${name.join(' and ')}`);
    return handles.readBigUInt64LE();
  }

  /** A key that can leave the token is no better than one in a file: it is refused. */
  private checkKept(session: bigint): void {
    const flag = (type: bigint): boolean => this.attribute(session, type, 1)[0] === 1;
    if (this.attribute(session, CKA.keyType, ulong).readBigUInt64LE() !== CKK_EC)
      throw new Error('the key is not one of ECDSA');
    if (!this.attribute(session, CKA.ecParams, 64).equals(p256)) throw new Error('the key is not on P-256');
    if (!flag(CKA.sign)) throw new Error('the key may not sign (CKA_SIGN)');
    if (!flag(CKA.sensitive)) throw new Error('the key is not sensitive (CKA_SENSITIVE): the token would give it away');
    if (flag(CKA.extractable))
      throw new Error('the key is extractable (CKA_EXTRACTABLE): the token would give it away');
  }

  private attribute(session: bigint, type: bigint, bytesMax: number): Buffer {
    const memory = new Memory();
    const value = memory.take(bytesMax);
    const out = memory.last;
    const table = Buffer.alloc(attributeBytes);
    table.writeBigUInt64LE(type);
    table.writeBigUInt64LE(value, ulong);
    table.writeBigUInt64LE(BigInt(bytesMax), 2 * ulong);
    const pointer = memory.take(table);
    const answered = memory.last;
    check('C_GetAttributeValue', this.functions.C_GetAttributeValue(session, this.key, pointer, 1n));
    return out.subarray(0, Number(answered.readBigUInt64LE(2 * ulong)));
  }
}

import { randomFillSync } from 'node:crypto';

/** Random bits, 32 at a time, as an unsigned integer. */
export interface RandomWords {
  next(): number;
}

/** For about two hundred requests: asking for each would cost more than all else that an id takes. */
const WORDS = 1_024;

/** Nobody who has seen any number of ids can tell the next one (RFC 9562 section 6.9). */
class CryptoWords implements RandomWords {
  private readonly words = new Uint32Array(WORDS);
  private at = WORDS;

  next(): number {
    if (this.at === WORDS) {
      randomFillSync(this.words);
      this.at = 0;
    }
    return this.words[this.at++] ?? 0;
  }
}

/** Of this thread. */
export const cryptoWords: RandomWords = new CryptoWords();

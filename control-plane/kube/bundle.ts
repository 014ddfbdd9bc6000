/** A bundle of trust anchors that changes at run time, as those who publish it see it. */
export interface TrustBundle {
  pem(): string;
  /** The answer ends it. */
  onChange(listener: () => void): () => void;
}

import { fieldSubject, isOfClients, type ReservedHeaders } from '@weft/policies/model/reserved-headers';

/** Says of a lower-case name whether an authorizer alone may set it. */
export function reservedNames({ names, prefixes }: ReservedHeaders): (lower: string) => boolean {
  const exact = new Set(names.map(fieldSubject));
  const beginnings = prefixes.map(fieldSubject);
  return (lower) => {
    const subject = fieldSubject(lower);
    if (exact.has(subject)) return true;
    return beginnings.some((beginning) => subject.startsWith(beginning)) && !isOfClients(subject);
  };
}

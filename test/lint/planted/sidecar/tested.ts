import { fixture } from "./fixture.test.ts"; export const tested = fixture;

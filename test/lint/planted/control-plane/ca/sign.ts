export const ca = 1;

// Stands in for node:crypto, which @hpke/core would import where a browser has no WebCrypto. Ours then stop earlier, in words.
export const webcrypto = undefined;

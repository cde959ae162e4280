// Writes data/mldsa_{44,65}_sign_seed.json: ML-DSA signatures by an implementation that is not ours.
//
//   npm install @noble/post-quantum@0.7.1 && node make_mldsa.mjs
//
// Seeds and messages are fixed and signing is deterministic, so the files come out the same.
import { writeFileSync } from 'node:fs';
import { ml_dsa44, ml_dsa65 } from '@noble/post-quantum/ml-dsa.js';

const hex = (bytes) => Buffer.from(bytes).toString('hex');

for (const [size, scheme] of [['44', ml_dsa44], ['65', ml_dsa65]]) {
  const seed = new Uint8Array(32).map((_, i) => i + Number(size));
  const { publicKey, secretKey } = scheme.keygen(seed);
  const test = (tcId, comment, message, context) => {
    const msg = new TextEncoder().encode(message);
    const ctx = new TextEncoder().encode(context);
    const sig = scheme.sign(msg, secretKey, { context: ctx, extraEntropy: false });
    return { tcId, comment, msg: hex(msg), ctx: hex(ctx), sig: hex(sig), result: 'valid', flags: [] };
  };
  const file = {
    algorithm: `ML-DSA-${size}`,
    header: ['Made by make_mldsa.mjs with @noble/post-quantum.'],
    testGroups: [{
      type: 'MlDsaSign',
      privateSeed: hex(seed),
      publicKey: hex(publicKey),
      tests: [
        test(1, 'a message', 'an answer', ''),
        test(2, 'with a context', 'an answer', 'receipt'),
        { tcId: 3, comment: 'context of 256 bytes', msg: '', ctx: '00'.repeat(256), sig: '', result: 'invalid', flags: ['InvalidContext'] },
      ],
    }],
  };
  writeFileSync(new URL(`data/mldsa_${size}_sign_seed.json`, import.meta.url), JSON.stringify(file, null, 1) + '\n');
}

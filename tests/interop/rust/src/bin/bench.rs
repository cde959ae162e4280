//! What a round trip of 1 KiB costs with the crate `ohttp`, both ends, without a network: the counterpart of
//! the same lines of `./dev bench seal`, measured alike: medians of batches, in processor time of the thread.

use ohttp::{
    hpke::{Aead, Kdf, Kem},
    ClientRequest, KeyConfig, Server, SymmetricSuite,
};

fn round_trip(server: &Server, config: &[u8], message: &[u8]) {
    let client = ClientRequest::from_encoded_config(config).unwrap();
    let (request, opener) = client.encapsulate(message).unwrap();
    let (opened, sealer) = server.decapsulate(&request).unwrap();
    let answer = sealer.encapsulate(&opened).unwrap();
    assert_eq!(opener.decapsulate(&answer).unwrap(), message);
}

fn processor_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place to write to.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() {
    ohttp::init();
    let message = vec![b'x'; 1024];
    for (name, kem) in [("X-Wing", Kem::XWing), ("X25519", Kem::X25519Sha256)] {
        let suite = SymmetricSuite::new(Kdf::HkdfSha256, Aead::Aes128Gcm);
        let config = KeyConfig::new(1, kem, vec![suite]).unwrap();
        let encoded = config.encode().unwrap();
        let server = Server::new(config).unwrap();
        let mut batches = Vec::new();
        for _ in 0..15 {
            let start = processor_seconds();
            for _ in 0..200 {
                round_trip(&server, &encoded, &message);
            }
            batches.push((processor_seconds() - start) / 200.0 * 1e6);
        }
        batches.sort_by(f64::total_cmp);
        println!("crate ohttp, {name}, AES-128-GCM: {:.1} us for 1 KiB both ways", batches[7]);
    }
}

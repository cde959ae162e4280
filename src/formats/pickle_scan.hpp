// What a Python pickle would do, found out without doing it: its opcodes are interpreted on a stack
// of kinds, and every name that it looks up is held against a short list of those that models need.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.hpp"

namespace tacit::formats {

struct PickleFinding {
  Literal what;
  std::string subject;  // printable: "os.system"
};

struct PickleScan {
  bool well_formed = false;  // one stream after the other, to the end of the bytes
  bool only_prefix = false;  // the bytes ended within a stream: what follows was not seen
  std::size_t streams = 0;   // that reached their end
  std::size_t end = 0;       // behind the last of them
  std::vector<PickleFinding> findings;  // at most 16; empty: nothing but plain data and tensors
};

// scan_pickle interprets all streams in `bytes`. `complete` says that the bytes are the whole file.
// Text and byte strings inside that hold pickles themselves are scanned, too, up to three deep.
// Time and memory are linear in the bytes. Pure; thread-safe.
PickleScan scan_pickle(BytesView bytes, bool complete = true);

// Whether bytes without a name look like the beginning of a pickle (protocol 2 and later say so).
bool begins_like_pickle(BytesView bytes) noexcept;

}  // namespace tacit::formats

// The one interface behind which every kind of evidence stands.
//
// A format is a file that provides an EvidenceFormat: a name and a function that looks for its kind
// in a document. formats.cpp lists them. Adding a format is a new file and one line there.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "attest/appraisal.hpp"
#include "attest/collateral.hpp"
#include "attest/policy.hpp"
#include "attest/trust.hpp"

namespace tacit::attest {

inline constexpr std::size_t kEvidenceBytesMax = 2 * 1024 * 1024;
inline constexpr std::size_t kEvidencePiecesMax = 64;

class LogReplays;  // event_log_check.hpp

// Context is what evidence is judged with. Borrows everything; lives for one appraisal.
struct Context {
  const Collateral& collateral;
  const Policy& policy;
  UnixTime now;
  SignatureMemory& memory;
  // What the relying party chose: must be what the evidence is bound to. `nonce` is compared with
  // the evidence's own nonce, or with the beginning of 64 bytes of report data, the rest zero.
  std::optional<Bytes> nonce;
  std::optional<Bytes> report_data;  // the whole field, shorter values zero-padded
  LogReplays& replays;
};

// Evidence is one parsed piece. Immutable.
class Evidence {
 public:
  virtual ~Evidence() = default;
  virtual std::string_view kind() const = 0;
  // Runs every check, adding reasons, claims and warnings to `out`.
  virtual void appraise(const Context& context, Appraisal& out) const = 0;
  // What must be unique among the pieces that are appraised together, such as the device's key;
  // empty when repeating is harmless.
  virtual std::string identity() const { return {}; }
  // The bytes of a hardware quote or report, for formats that join files of one machine.
  virtual BytesView raw() const { return {}; }
};
using EvidencePtr = std::unique_ptr<const Evidence>;

// Piece is evidence with the name of its file, and what it must be bound to in place of what is
// asked of all.
struct Piece {
  std::string name;
  EvidencePtr evidence;
  std::optional<Bytes> nonce = {};
};

// Gathered is what was found in all files, before anything is judged.
struct Gathered {
  struct Unknown {
    std::string name;
    BytesView bytes;
  };
  std::vector<Piece> pieces;
  std::vector<Unknown> unknown;  // named files of no known kind
};

// Document is a file as the formats see it: the bytes, what they hold when they are hexadecimal or
// base64 text, and whether they are JSON text (checked by parse_json).
struct Document {
  BytesView raw;
  BytesView bytes;  // decoded when `raw` is hexadecimal or base64 text, else `raw`
  bool is_json = false;
};

struct EvidenceFormat {
  std::string_view name;
  // nullopt: the document is of another kind. An error: it is of this kind, but malformed.
  std::optional<Result<std::vector<EvidencePtr>>> (*find)(const Document& document);
  // Joins what belongs to one machine but came in several files; may be null.
  void (*combine)(Gathered& gathered) = nullptr;
};

std::span<const EvidenceFormat> evidence_formats();

}  // namespace tacit::attest

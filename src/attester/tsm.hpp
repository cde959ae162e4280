// Intel TDX and AMD SEV-SNP through the Linux kernel's configfs-tsm (Documentation/ABI/testing/
// configfs-tsm-report): one folder per asker, a question written to it, a report read from it.
#pragma once

#include <filesystem>
#include <string>

#include "attester/attester.hpp"

namespace tacit::attester {

struct TsmOptions {
  std::filesystem::path root = "/sys/kernel/config/tsm/report";
  std::string entry = "tacit";  // the folder of this asker; made, and removed at the end
  // The confidential-computing event log of TDX machines.
  std::filesystem::path event_log = "/sys/firmware/acpi/tables/data/CCEL";
};

// Errors: not_found (no such interface on this machine), unsupported (a provider that we do not
// know), permission, io.
Result<AttesterPtr> open_tsm(TsmOptions options);

// The certificates in the table that an SEV-SNP host may hand its guests ("auxblob": entries of
// GUID, offset, length; AMD's GHCB specification, section 4.1.8.1). Error: malformed.
Result<std::vector<Bytes>> parse_snp_certificates(BytesView table);

}  // namespace tacit::attester

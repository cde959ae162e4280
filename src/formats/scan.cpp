#include "formats/scan.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <boost/json.hpp>

#include "core/text.hpp"
#include "core/unique_fd.hpp"
#include "formats/gguf.hpp"
#include "formats/pickle_scan.hpp"
#include "formats/safetensors.hpp"
#include "formats/scan_zip.hpp"
#include "formats/template_scan.hpp"

namespace tacit::formats {
namespace json = boost::json;
namespace {

constexpr std::size_t kJsonBytesMax = 64 * 1024 * 1024;
constexpr std::size_t kFindingsMax = 32;

std::string shown(std::string_view where, std::string_view what) {
  auto out = std::string{where};
  if (!where.empty() && !what.empty()) out += ": ";
  out += what;
  for (auto& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return out;
}

void add(ScanReport& report, ScanVerdict verdict, Literal what, std::string subject) {
  if (report.findings.size() < kFindingsMax) report.findings.push_back({what, std::move(subject)});
  if (report.verdict == ScanVerdict::dangerous) return;
  report.verdict = verdict;
}

void scan_template_text(std::string_view text, std::string_view where, ScanReport& report) {
  for (auto& finding : scan_template(text)) {
    add(report, finding.dangerous ? ScanVerdict::dangerous : ScanVerdict::cannot_tell, finding.what,
        shown(where, finding.subject));
  }
}

ScanReport scan_gguf(BytesView bytes, std::string_view name) {
  ScanReport report{ScanVerdict::clean, "GGUF", {}};
  const auto file = parse_gguf(bytes, bytes.size());
  if (!file) {
    add(report, ScanVerdict::dangerous, "a GGUF file that is not well-formed",
        shown(name, file.error().message()));
    return report;
  }
  for (const auto& [key, value] : file->metadata) {
    const auto* text = std::get_if<std::string>(&value);
    if (text != nullptr && key.starts_with("tokenizer.chat_template")) {
      scan_template_text(*text, key, report);
    }
  }
  return report;
}

ScanReport scan_safetensors(BytesView bytes, std::uint64_t file_bytes, std::string_view name) {
  ScanReport report{ScanVerdict::clean, "safetensors", {}};
  const auto file = parse_safetensors(bytes, file_bytes);
  if (!file) {
    add(report, ScanVerdict::dangerous, "a safetensors file that is not well-formed",
        shown(name, file.error().message()));
  }
  return report;
}

ScanReport scan_pickles(BytesView bytes, std::string_view name) {
  ScanReport report{ScanVerdict::clean, "pickle", {}};
  const auto scan = scan_pickle(bytes);
  for (const auto& finding : scan.findings) {
    add(report, ScanVerdict::dangerous, finding.what, shown(name, finding.subject));
  }
  if (!scan.well_formed) {
    // A loader runs what comes before the place where it breaks.
    add(report, ScanVerdict::dangerous, "a pickle that breaks off or is followed by something else",
        std::string{name});
  }
  return report;
}

ScanReport scan_numpy(BytesView bytes, std::string_view name) {
  ScanReport report{ScanVerdict::clean, "NumPy array", {}};
  constexpr std::size_t fixed = 8;
  const auto version = bytes.size() > fixed ? std::to_integer<unsigned>(bytes[6]) : 0;
  ByteReader reader{bytes.subspan(std::min(bytes.size(), fixed))};
  std::uint64_t size = 0;
  if (version == 1) {
    size = reader.u16().value_or(0);
  } else if (version == 2 || version == 3) {
    size = reader.u32().value_or(0);
  }
  const auto header = reader.take(static_cast<std::size_t>(size));
  if (size == 0 || !header) {
    add(report, ScanVerdict::dangerous, "a NumPy file that is not well-formed", std::string{name});
    return report;
  }
  // {'descr': '<i4', ...}: an 'O' in the type is an object, which is stored as a pickle.
  auto text = as_text(*header);
  const auto descr = text.find("'descr'");
  const auto order = text.find("'fortran_order'");
  if (descr == std::string_view::npos || order == std::string_view::npos || order < descr) {
    add(report, ScanVerdict::cannot_tell, "a NumPy header that is not understood",
        std::string{name});
    return report;
  }
  text = text.substr(descr + 7, order - descr - 7);
  if (text.find('O') != std::string_view::npos) {
    add(report, ScanVerdict::dangerous, "its objects are stored as a pickle", std::string{name});
    const auto inside = scan_pickle(bytes.subspan(fixed + reader.offset()));
    for (const auto& finding : inside.findings) {
      add(report, ScanVerdict::dangerous, finding.what, shown(name, finding.subject));
    }
  }
  return report;
}

// Every text below a member whose name speaks of a template, however deep.
void scan_json_value(const json::value& value, std::string_view key, bool in_template,
                     ScanReport& report) {
  if (const auto* text = value.if_string(); text != nullptr && in_template) {
    report.kind = "chat template";
    scan_template_text(*text, key, report);
  } else if (const auto* array = value.if_array()) {
    for (const auto& item : *array) scan_json_value(item, key, in_template, report);
  } else if (const auto* object = value.if_object()) {
    for (const auto& [name, member] : *object) {
      const auto lower = to_lower_ascii(std::string_view{name});
      if (lower == "auto_map") {
        add(report, ScanVerdict::dangerous, "it asks for Python code of its own", "auto_map");
      }
      const bool speaks =
          lower.find("template") != std::string::npos ||
          (member.is_string() && std::string_view{member.get_string()}.contains("{{"));
      scan_json_value(member, std::string_view{name}, in_template || speaks, report);
    }
  }
}

ScanReport scan_json(BytesView bytes, std::string_view name) {
  ScanReport report{ScanVerdict::clean, "JSON", {}};
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 64;
  const auto value = bytes.size() <= kJsonBytesMax ? json::parse(as_text(bytes), error, {}, options)
                                                   : json::value{};
  if (error || bytes.size() > kJsonBytesMax) {
    add(report, ScanVerdict::cannot_tell, "JSON that cannot be read", std::string{name});
    return report;
  }
  scan_json_value(value, "", false, report);
  return report;
}

bool starts(BytesView bytes, std::string_view magic) { return as_text(bytes).starts_with(magic); }

bool looks_like_json(BytesView bytes) {
  auto text = as_text(bytes).substr(0, 64);
  while (!text.empty() && (text.front() == ' ' || text.front() == '\n' || text.front() == '\r' ||
                           text.front() == '\t')) {
    text.remove_prefix(1);
  }
  return text.starts_with('{') || text.starts_with("[{") || text.starts_with("[\"");
}

bool looks_like_safetensors(BytesView bytes) {
  return bytes.size() > 9 && bytes[7] == std::byte{0} && bytes[6] == std::byte{0} &&
         bytes[8] == std::byte{'{'};
}

// Kinds that are known, but not looked into.
std::string_view foreign_kind(BytesView bytes) {
  if (starts(bytes, "7z\xBC\xAF\x27\x1C")) return "7z archive";
  if (starts(bytes, "\x1F\x8B")) return "gzip file";
  if (starts(bytes, "\x89HDF")) return "HDF5 file";
  if (starts(bytes,
             "\x7F"
             "ELF"))
    return "program";
  if (starts(bytes, "#!")) return "script";
  if (starts(bytes, "BZh")) return "bzip2 file";
  if (starts(bytes,
             "\xFD"
             "7zXZ"))
    return "xz file";
  if (starts(bytes, "Rar!")) return "RAR archive";
  if (bytes.size() > 262 && starts(bytes.subspan(257), "ustar")) return "tar archive";
  return "";
}

bool is_python_name(std::string_view text) {
  const auto dot = text.find('.');
  return dot != std::string_view::npos && dot > 0 && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '.';
         });
}

// Bytes without any mark of their kind: old pickles have none.
ScanReport scan_unmarked(BytesView bytes, std::string_view name) {
  const auto scan = scan_pickle(bytes);
  // Numbers may happen to begin with opcodes; names of Python's, or a whole stream, do not happen.
  const bool speaks = std::ranges::any_of(
      scan.findings, [](const PickleFinding& f) { return is_python_name(f.subject); });
  const bool acts = scan.streams > 0 && !scan.findings.empty();
  if (speaks || acts || scan.well_formed) return scan_pickles(bytes, name);
  if (is_utf8(as_text(bytes)) && as_text(bytes).contains("{%")) {
    ScanReport report{ScanVerdict::clean, "chat template", {}};
    scan_template_text(as_text(bytes), name, report);
    return report;
  }
  ScanReport report{ScanVerdict::cannot_tell, "unknown", {}};
  add(report, ScanVerdict::cannot_tell, "a kind of file that is not known here", std::string{name});
  return report;
}

}  // namespace

std::string_view verdict_name(ScanVerdict verdict) noexcept {
  switch (verdict) {
    case ScanVerdict::clean: return "clean";
    case ScanVerdict::dangerous: return "dangerous";
    case ScanVerdict::cannot_tell: return "cannot_tell";
  }
  return "";
}

ScanReport scan_bytes(BytesView bytes, std::string_view name) {
  if (starts(bytes, "GGUF")) return scan_gguf(bytes, name);
  if (starts(bytes, "PK\x03\x04") || starts(bytes, "PK\x05\x06")) return scan_zip(bytes, name);
  if (starts(bytes, "\x93NUMPY")) return scan_numpy(bytes, name);
  if (begins_like_pickle(bytes)) return scan_pickles(bytes, name);
  if (looks_like_safetensors(bytes)) return scan_safetensors(bytes, bytes.size(), name);
  if (looks_like_json(bytes)) return scan_json(bytes, name);
  if (const auto kind = foreign_kind(bytes); !kind.empty()) {
    ScanReport report{ScanVerdict::cannot_tell, std::string{kind}, {}};
    add(report, ScanVerdict::cannot_tell, "a kind of file that is not looked into",
        shown(name, kind));
    return report;
  }
  return scan_unmarked(bytes, name);
}

Result<ScanReport> scan_file(const std::string& path) {
  const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat info{};
  if (!fd || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    const int number = fd ? EINVAL : errno;
    const auto code = number == ENOENT   ? Code::not_found
                      : number == EACCES ? Code::permission
                                         : Code::io;
    return fail(Error{code, "cannot open the file, or it is not a regular one"}
                    .with("errno", number)
                    .about(PublicText{path}));
  }
  const auto size = static_cast<std::uint64_t>(info.st_size);
  const auto window = static_cast<std::size_t>(std::min(size, kScanBytesMax));
  Bytes bytes(window);
  std::size_t at = 0;
  while (at < window) {
    const auto n = ::pread(fd.get(), bytes.data() + at, window - at, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(Error{Code::io, "cannot read the file"}.about(PublicText{path}));
    at += static_cast<std::size_t>(n);
  }
  if (size <= kScanBytesMax) return scan_bytes(bytes);
  if (looks_like_safetensors(bytes)) return scan_safetensors(bytes, size, "");
  ScanReport report{ScanVerdict::cannot_tell, "large file", {}};
  if (starts(bytes, "GGUF")) {
    report = {ScanVerdict::clean, "GGUF", {}};
    const auto file = read_gguf(fd.get());
    if (!file) {
      add(report, ScanVerdict::dangerous, "a GGUF file that is not well-formed",
          file.error().message());
    } else if (const auto text = file->chat_template()) {
      scan_template_text(*text, "tokenizer.chat_template", report);
    }
    return report;
  }
  add(report, ScanVerdict::cannot_tell, "too large to be looked at as a whole", "");
  return report;
}

}  // namespace tacit::formats

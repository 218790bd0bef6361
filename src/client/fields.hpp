// Fields as RFC 5424 structured data, one element.
#pragma once

#include <cstddef>
#include <span>

#include "fastlog/fastlog.h"

namespace fastlogd::client {

/// Length of `[fields@0 name="value" ...]` with its escapes; 0: a name that can't be one, or a null pointer.
[[nodiscard]] std::size_t fields_bytes(std::span<const fastlog_field> fields);

/// Writes fields_bytes() bytes; returns the place behind them. The fields have been checked by that.
char* write_fields(std::span<const fastlog_field> fields, char* to);

}  // namespace fastlogd::client

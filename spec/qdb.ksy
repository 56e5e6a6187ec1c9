# Written by conformance/tools/layout.ts from spec/layout.json: change it there.
# SPDX-License-Identifier: MIT
meta:
  id: qdb
  title: 'QDB version 1: dirty bitmaps of virtual disks in a file of their own'
  file-extension: qdb
  license: MIT
  ks-version: '0.11'
  endian: be
  bit-endian: be
doc: >-
  Reads a good primary header, the extensions, the bitmap table, its records and L1 areas, in both forms. It refuses a
  whole file where the specification refuses one bitmap of it, and knows no checksums, mirrors, owners of clusters or
  names that stand twice: qdb.md is the specification, this is a second look at it.
doc-ref: qdb.md
seq:
  - id: magic
    type: u4
    valid: 1363427840
    doc: 51 44 42 00 (QDB and a zero byte)
    doc-ref: qdb.md QDB-HDR-001
  - id: version
    type: u4
    valid: 1
    doc: '1'
    doc-ref: qdb.md QDB-HDR-002
  - id: cluster_bits
    type: u4
    valid:
      min: 9
      max: 21
    doc: log2 of the cluster size in bytes, 9..21
    doc-ref: qdb.md QDB-HDR-003
  - id: nb_bitmaps
    type: u4
    valid:
      min: 0
      max: 65535
    doc: entries of the bitmap table, 0..65535
    doc-ref: qdb.md QDB-HDR-004
  - id: bitmaps_offset
    type: u64
    valid:
      expr: _.lo % _root.cluster_size == 0
    doc: file offset of the bitmap table in bytes, cluster-aligned
    doc-ref: qdb.md QDB-HDR-005
  - id: header_length
    type: u4
    valid:
      expr: _ == 28 or (_ >= 104 and _ <= _root.area_size and _ % 8 == 0)
    doc: length of this structure in bytes, without extensions
    doc-ref: qdb.md QDB-HDR-006
  - id: check_bitmaps_offset
    size: 0
    valid:
      expr: bitmaps_offset.is_zero == (nb_bitmaps == 0)
    doc-ref: qdb.md QDB-HDR-018
  - id: full
    type: full_header
    if: not is_draft
    doc: the rest of the header in full form
  - id: check_table_place
    size: 0
    valid:
      expr: nb_bitmaps == 0 or bitmaps_offset.value >= first_free
    doc-ref: qdb.md QDB-HDR-036
  - id: check_table_start
    size: 0
    valid:
      expr: bitmaps_offset.value < _io.size
    doc-ref: qdb.md QDB-OWN-011
instances:
  bytes_28_to_31:
    pos: 28
    type: u4
  is_draft:
    value: header_length == 28 and bytes_28_to_31 == 0
  cluster_size:
    value: 1 << cluster_bits
  area_size:
    value: 'cluster_size < 4096 ? cluster_size : 4096'
    doc: space of header, extensions and end mark (QDB-HDR-031)
  h:
    value: 'cluster_size > 4096 ? cluster_size : 4096'
  first_free:
    value: 'is_draft ? cluster_size : 2 * h'
    doc: where the first other structure can be (QDB-HDR-036)
  has_all_ones:
    value: not is_draft and full.incompatible_features.lo % 2 == 1
  extensions_at:
    value: (header_length + 7) / 8 * 8
  extensions:
    pos: extensions_at
    size: area_size - extensions_at
    type: extensions
  table:
    pos: bitmaps_offset.value
    size: 'is_draft ? _io.size - bitmaps_offset.value : full.bitmaps_size'
    type: bitmap_table
    if: nb_bitmaps > 0
  mirror:
    pos: h
    size: 4096
    if: not is_draft and h + 4096 <= _io.size
    doc: a copy of the first 4096 bytes; a different one is no damage
types:
  full_header:
    seq:
      - id: check_header_length
        size: 0
        valid:
          expr: _root.header_length != 28
        doc-ref: qdb.md QDB-HDR-006
      - id: bitmaps_size
        type: u4
        valid:
          min: 0
          max: 67108864
        doc: length of the bitmap table in bytes
        doc-ref: qdb.md QDB-HDR-007
      - id: incompatible_features
        type: u64
        valid:
          expr: (_.hi == 0 and _.lo <= 1)
        doc: bits a reader must know
        doc-ref: qdb.md QDB-HDR-008
      - id: compatible_features
        type: u64
        doc: bits that are harmless to who does not know them
        doc-ref: qdb.md QDB-HDR-009
      - id: autoclear_features
        type: u64
        doc: bits that a writer clears when it does not know them
        doc-ref: qdb.md QDB-HDR-010
      - id: generation
        type: u64
        valid:
          expr: (_.hi > 0 or _.lo >= 1)
        doc: 1 at creation, one more at every commit
        doc-ref: qdb.md QDB-HDR-011
      - id: table_checksum
        type: u4
        doc: CRC-32 of the bitmap table
        doc-ref: qdb.md QDB-HDR-012
      - id: header_checksum
        type: u4
        doc: CRC-32 of the header area, these four bytes taken as zero
        doc-ref: qdb.md QDB-HDR-013
      - id: writer_id
        size: 16
        doc: random, new each time the file is opened for writing
        doc-ref: qdb.md QDB-HDR-014
      - id: file_id
        size: 16
        doc: UUID, set at creation
        doc-ref: qdb.md QDB-HDR-015
      - id: check_bitmaps_size
        size: 0
        valid:
          expr: _root.nb_bitmaps > 0 or bitmaps_size == 0
        doc-ref: qdb.md QDB-HDR-019
      - id: check_table_checksum
        size: 0
        valid:
          expr: _root.nb_bitmaps > 0 or table_checksum == 0
        doc-ref: qdb.md QDB-HDR-020
      - id: unknown
        size: _root.header_length - 104
        doc: of a header that is longer than this version's
  extensions:
    seq:
      - id: items
        type: extension
        if: not _io.eof
        repeat: until
        repeat-until: _.type == 0 or _io.eof
        doc: with the end mark, where there is one
  extension:
    seq:
      - id: type
        type: u4
        doc: what the data is; 0 ends the header extensions
        doc-ref: qdb.md QDB-EXT-001
      - id: length
        type: u4
        doc: length of the data in bytes, without padding
        doc-ref: qdb.md QDB-EXT-002
        valid:
          expr: type == 0 or _ <= _io.size - _io.pos
      - id: data
        size: length
        if: type != 0
        type:
          switch-on: 'length % 48 == 0 ? type : 0'
          cases:
            '1363430989': extension_names
            '1745090647': feature_names
      - id: padding
        size: (8 - length % 8) % 8
        doc: of any value
        if: type != 0
  feature_names:
    seq:
      - id: items
        type: feature_name
        repeat: eos
  feature_name:
    seq:
      - id: kind
        type: u1
        doc: 0 incompatible, 1 compatible, 2 autoclear
        doc-ref: qdb.md QDB-EXT-010
      - id: bit
        type: u1
        doc: number of the bit, 0..63
        doc-ref: qdb.md QDB-EXT-011
      - id: name
        size: 46
        doc: UTF-8, zero padded
        doc-ref: qdb.md QDB-EXT-012
  extension_names:
    seq:
      - id: items
        type: extension_name
        repeat: eos
  extension_name:
    seq:
      - id: type
        type: u4
        doc: type of an extension
        doc-ref: qdb.md QDB-EXT-020
      - id: name
        size: 44
        doc: UTF-8, zero padded
        doc-ref: qdb.md QDB-EXT-021
  bitmap_table:
    seq:
      - id: entries
        type: bitmap_entry
        repeat: expr
        repeat-expr: _root.nb_bitmaps
      - id: check_size
        size: 0
        valid:
          expr: _root.is_draft or _io.pos == _root.full.bitmaps_size
        doc-ref: qdb.md QDB-HDR-021
  bitmap_entry:
    seq:
      - id: l1_table_offset
        type: u64
        valid:
          expr: _.lo % _root.cluster_size == 0
        doc: file offset of the L1 area in bytes, cluster-aligned; 0 when l1_size is 0
        doc-ref: qdb.md QDB-TBL-001
      - id: l1_size
        type: u4
        doc: number of L1 entries
        doc-ref: qdb.md QDB-TBL-002
      - id: granularity
        type: u4
        valid:
          expr: _ >= 512 and _ <= 2147483648 and (_ & (_ - 1)) == 0
        doc: bytes a bit, a power of two, 512..2^31
        doc-ref: qdb.md QDB-TBL-003
      - id: size
        type: u64
        valid:
          expr: _.hi <= 2147483647
        doc: length of the tracked disk in bytes, 0..2^63-1
        doc-ref: qdb.md QDB-TBL-004
      - id: flags
        type: u2
        valid:
          min: 0
          max: 7
        doc: bit 0 enabled, bit 1 in_use, bit 2 frozen
        doc-ref: qdb.md QDB-TBL-005
      - id: name_size
        type: u2
        valid:
          min: 1
          max: 1023
        doc: length of the name in bytes, 1..1023
        doc-ref: qdb.md QDB-TBL-006
      - id: l1_checksum
        type: u4
        doc: 'full form: CRC-32 of the L1 area; draft form: 0'
        doc-ref: qdb.md QDB-TBL-007
      - id: reserved
        type: u4
        valid: 0
        doc: '0'
        doc-ref: qdb.md QDB-TBL-008
      - id: extra_data_size
        type: u4
        valid:
          min: 0
          max: 4096
        doc: length of the extra data in bytes, 0..4096
        doc-ref: qdb.md QDB-TBL-009
      - id: extra_data
        type: records
        size: extra_data_size
      - id: name
        type: str
        encoding: UTF-8
        size: name_size
      - id: padding
        size: (8 - (extra_data_size + name_size) % 8) % 8
        doc: of any value
      - id: check_draft
        size: 0
        valid:
          expr: not _root.is_draft or l1_checksum == 0
        doc-ref: qdb.md QDB-TBL-017
      - id: check_l1_size
        size: 0
        valid:
          expr: l1_size == (bytes + _root.cluster_size - 1) / _root.cluster_size
        doc-ref: qdb.md QDB-TBL-002
      - id: check_bits
        size: 0
        valid:
          expr: bits <= 4294967296
        doc-ref: qdb.md QDB-TBL-015
      - id: check_l1_table_offset
        size: 0
        valid:
          expr: l1_table_offset.is_zero == (l1_size == 0)
        doc-ref: qdb.md QDB-TBL-014
      - id: check_l1_checksum
        size: 0
        valid:
          expr: l1_size > 0 or l1_checksum == 0
        doc-ref: qdb.md QDB-TBL-016
      - id: check_frozen
        size: 0
        valid:
          expr: (flags & 5) != 5
        doc-ref: qdb.md QDB-FLG-008
      - id: check_l1_place
        size: 0
        valid:
          expr: l1_size == 0 or l1_table_offset.value >= _root.first_free
        doc-ref: qdb.md QDB-HDR-036
      - id: check_l1_end
        size: 0
        valid:
          expr: l1_table_offset.value + l1_length <= _root._io.size
        doc-ref: qdb.md QDB-OWN-011
    instances:
      bits:
        value: size.hi * (4294967296 / granularity) + (size.lo + granularity - 1) / granularity
        doc: granularity divides 2^32
      bytes:
        value: (bits + 7) / 8
      l1_length:
        value: '_root.is_draft ? 8 * l1_size : (12 * l1_size + 7) / 8 * 8'
      l1_area:
        pos: l1_table_offset.value
        io: _root._io
        size: l1_length
        type: l1_area(l1_size)
        if: l1_size > 0
  records:
    seq:
      - id: items
        type: record
        repeat: eos
  record:
    seq:
      - id: type
        type: u4
        valid:
          expr: _ != 0
        doc-ref: qdb.md QDB-REC-002
      - id: length
        type: u4
        valid:
          expr: _ <= _io.size - _io.pos
        doc-ref: qdb.md QDB-REC-001
      - id: data
        size: length
        type:
          switch-on: shape
          cases:
            '1': text
            '2': disk_stamp
            '5': created
            '9': session
      - id: padding
        size: (8 - length % 8) % 8
        doc: of any value
    instances:
      shape:
        value: >-
          type == 1 or type == 6 or type == 8 ? 1 : (type == 2 and length == 24) or (type == 5 and length == 8) or (type
          == 9 and length == 24) ? type : 0
        doc: 'how the data is read; 0: bytes'
  text:
    seq:
      - id: value
        type: str
        encoding: UTF-8
        size-eos: true
  disk_stamp:
    seq:
      - id: length
        type: u64
        doc: length of the disk in bytes
        doc-ref: qdb.md QDB-REC-010
      - id: mtime
        type: i64
        doc: last modification in ns since the epoch; 0 where the disk is no regular file
        doc-ref: qdb.md QDB-REC-011
      - id: file
        type: u64
        doc: file id (inode); 0 where the disk is no regular file
        doc-ref: qdb.md QDB-REC-012
  created:
    seq:
      - id: ns
        type: i64
        doc: creation in ns since the epoch
        doc-ref: qdb.md QDB-REC-005
  session:
    seq:
      - id: session
        size: 16
        doc: UUID of the session
        doc-ref: qdb.md QDB-REC-036
      - id: file
        type: u64
        doc: file id (inode) of the shell; not 0
        doc-ref: qdb.md QDB-REC-037
  l1_area:
    params:
      - id: count
        type: u4
    seq:
      - id: descriptors
        type: descriptor
        repeat: expr
        repeat-expr: count
      - id: cluster_checksums
        type: u4
        repeat: expr
        repeat-expr: count
        if: not _root.is_draft
  descriptor:
    seq:
      - id: reserved_56
        type: b8
        valid: 0
        doc: '0'
        doc-ref: qdb.md QDB-MAP-012
      - id: offset_high
        type: b24
        doc: 'file offset of the data cluster, cluster-aligned; 0 with bits 0 and 1 clear: unallocated'
        doc-ref: qdb.md QDB-MAP-013
      - id: offset_low
        type: b23
        doc: 'file offset of the data cluster, cluster-aligned; 0 with bits 0 and 1 clear: unallocated'
        doc-ref: qdb.md QDB-MAP-013
      - id: reserved_2
        type: b7
        valid: 0
        doc: '0'
        doc-ref: qdb.md QDB-MAP-012
      - id: ones
        type: b1
        doc: reads as ones; only with incompatible bit 0, and then bit 0 and the offset are 0
        doc-ref: qdb.md QDB-MAP-011
      - id: zeros
        type: b1
        doc: reads as zeros; the offset, if any, is a preallocation
        doc-ref: qdb.md QDB-MAP-010
      - id: check_ones
        size: 0
        valid:
          expr: not ones or _root.has_all_ones
        doc-ref: qdb.md QDB-MAP-011
      - id: check_ones_alone
        size: 0
        valid:
          expr: not ones or (not zeros and offset == 0)
        doc-ref: qdb.md QDB-MAP-014
      - id: check_place
        size: 0
        valid:
          expr: offset == 0 or offset >= _root.first_free
        doc-ref: qdb.md QDB-HDR-036
      - id: check_end
        size: 0
        valid:
          expr: offset == 0 or offset + _root.cluster_size <= _root._io.size
        doc-ref: qdb.md QDB-OWN-010
    instances:
      offset:
        value: offset_high * 4294967296 + offset_low * 512
      reads_cluster:
        value: not zeros and not ones and offset != 0
      data:
        pos: offset
        io: _root._io
        size: _root.cluster_size
        if: reads_cluster
  u64:
    seq:
      - id: hi
        type: u4
      - id: lo
        type: u4
    instances:
      is_zero:
        value: hi == 0 and lo == 0
      value:
        value: hi * 4294967296 + lo
        doc: exact up to 2^53
  i64:
    seq:
      - id: hi
        type: s4
      - id: lo
        type: u4
    instances:
      is_zero:
        value: hi == 0 and lo == 0
      value:
        value: hi * 4294967296 + lo
        doc: exact up to 2^53

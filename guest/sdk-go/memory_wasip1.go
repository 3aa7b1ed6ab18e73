package sandman

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"unsafe"
)

// The canonical ABI of the component model, written by hand for the two functions of `wit/handler.wit`. All offsets follow from the
// order of the fields in `wit/event-types.wit`.

// Reading, from the memory of the call.

type memory []byte

func at(address uint32, size uint32) memory {
	return unsafe.Slice((*byte)(unsafe.Pointer(uintptr(address))), size)
}

func (m memory) u32(offset int) uint32 { return binary.LittleEndian.Uint32(m[offset:]) }
func (m memory) u64(offset int) uint64 { return binary.LittleEndian.Uint64(m[offset:]) }

func (m memory) text(offset int) string {
	length := m.u32(offset + 4)
	if length == 0 {
		return ""
	}
	return unsafe.String((*byte)(unsafe.Pointer(uintptr(m.u32(offset)))), length)
}

func (m memory) optional(offset int) *string {
	if m[offset] == 0 {
		return nil
	}
	text := m.text(offset + 4)
	return &text
}

func (m memory) raw(offset int) json.RawMessage {
	text := m.optional(offset)
	if text == nil {
		return nil
	}
	return json.RawMessage(*text)
}

func (m memory) list(offset int, size uint32) (memory, int) {
	length := m.u32(offset + 4)
	if length == 0 {
		return nil, 0
	}
	return at(m.u32(offset), length*size), int(length)
}

func (m memory) pairs(offset int) [][2]string {
	items, length := m.list(offset, 16)
	pairs := make([][2]string, length)
	for i := range pairs {
		pairs[i] = [2]string{items.text(i * 16), items.text(i*16 + 8)}
	}
	return pairs
}

func readArguments(arguments unsafe.Pointer) (Trigger, *string, Context) {
	m := memory(unsafe.Slice((*byte)(arguments), 136))
	context := Context{
		NowMillis: int64(m.u64(112)),
		Attempt:   m.u32(120),
		Settings:  json.RawMessage(m.text(124)),
	}
	trigger := Trigger{}
	if m[0] == 0 {
		trigger.Event = readWireEvent(m[4:])
	} else {
		trigger.Request = readRequest(m[4:])
	}
	return trigger, m.optional(96), context
}

func readWireEvent(m memory) *Event[json.RawMessage] {
	event := &Event[json.RawMessage]{
		Key:       m.text(0),
		ID:        m.text(8),
		Type:      m.text(16),
		Version:   m.text(24),
		Timestamp: m.text(32),
		Source:    m.text(40),
		Metadata:  m.raw(72),
		Payload:   json.RawMessage(m.text(84)),
	}
	if id := m.optional(48); id != nil {
		event.CorrelationID = *id
	}
	if id := m.optional(60); id != nil {
		event.CausationID = *id
	}
	return event
}

func readRequest(m memory) *Request {
	request := &Request{
		Key:           m.text(0),
		Method:        m.text(8),
		Route:         m.text(16),
		Params:        m.pairs(24),
		QueryParams:   m.pairs(32),
		Claims:        m.raw(40),
		Body:          m.raw(52),
		CorrelationID: m.text(72),
	}
	files, length := m.list(64, 40)
	for i := range length {
		file := files[i*40:]
		request.Files = append(request.Files, UploadedFile{
			Field:     file.text(0),
			URL:       file.text(8),
			MediaType: file.text(16),
			Size:      file.u64(24),
			Digest:    file.text(32),
		})
	}
	return request
}

// Writing, to memory that is held until the host has read it.

func newMemory(size int) memory {
	words := make([]uint64, (size+7)/8)
	held = append(held, words)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), size)
}

func (m memory) address() uint32 { return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(m)))) }

func (m memory) setU32(offset int, value uint32) { binary.LittleEndian.PutUint32(m[offset:], value) }

func (m memory) setText(offset int, text string) {
	if text == "" {
		m.setU32(offset, 4)
		return
	}
	held = append(held, text)
	m.setU32(offset, uint32(uintptr(unsafe.Pointer(unsafe.StringData(text)))))
	m.setU32(offset+4, uint32(len(text)))
}

func (m memory) setOptional(offset int, text *string) {
	if text != nil {
		m[offset] = 1
		m.setText(offset+4, *text)
	}
}

// A list of `length` items of `size` bytes, to be filled in.
func (m memory) setList(offset, length, size int) memory {
	items := newMemory(max(length*size, 4))
	m.setU32(offset, items.address())
	m.setU32(offset+4, uint32(length))
	return items
}

func orNothing(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func writeContract(contract Contract) unsafe.Pointer {
	m := newMemory(40)
	consumes := m.setList(0, len(contract.Consumes), 28)
	for i, consumed := range contract.Consumes {
		item := consumes[i*28:]
		item.setText(0, consumed.Type)
		versions := item.setList(8, len(consumed.Versions), 8)
		for j, version := range consumed.Versions {
			versions.setText(j*8, version)
		}
		item.setOptional(16, orNothing(consumed.Schema))
	}
	emits := m.setList(8, len(contract.Emits), 28)
	for i, emitted := range contract.Emits {
		item := emits[i*28:]
		item.setText(0, emitted.Type)
		item.setText(8, emitted.Version)
		item.setOptional(16, orNothing(emitted.Schema))
	}
	routes := m.setList(16, len(contract.Routes), 16)
	for i, route := range contract.Routes {
		routes.setText(i*16, route[0])
		routes.setText(i*16+8, route[1])
	}
	m.setU32(24, contract.StateVersion)
	m.setOptional(28, orNothing(contract.StateSchema))
	return unsafe.Pointer(unsafe.SliceData(m))
}

func writeResult(written Written, err error) unsafe.Pointer {
	m := newMemory(44)
	if err != nil {
		m[0] = 1
		failure := m[4:]
		var known *Failure
		if !errors.As(err, &known) {
			known = &Failure{Reason: err.Error(), Retry: true}
		}
		if known.Retry {
			failure[0] = 1
		}
		failure.setText(4, known.Reason)
		return unsafe.Pointer(unsafe.SliceData(m))
	}
	writeOutcome(m[4:], written)
	return unsafe.Pointer(unsafe.SliceData(m))
}

func writeOutcome(m memory, written Written) {
	switch {
	case written.State != nil:
		m[0] = 1
		m.setText(4, *written.State)
	case written.Removed:
		m[0] = 2
	}
	events := m.setList(12, len(written.Events), 48)
	for i, event := range written.Events {
		item := events[i*48:]
		item.setText(0, event.Type)
		item.setText(8, event.Version)
		item.setText(16, event.Payload)
		item.setOptional(24, event.Key)
		item.setOptional(36, event.Metadata)
	}
	if written.Status != 0 {
		m[20] = 1
		reply := m[24:]
		binary.LittleEndian.PutUint16(reply, uint16(written.Status))
		reply.setOptional(4, written.Body)
	}
}

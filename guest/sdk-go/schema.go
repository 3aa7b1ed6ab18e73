package sandman

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// SchemaOf returns the JSON Schema of what encoding/json writes for a T: fields without omitempty or omitzero are required,
// pointers, slices and maps may be null, and unknown fields are allowed. The schema of a json.Marshaler allows anything.
func SchemaOf[T any]() string {
	schema := schemas{defs: map[string]any{}, open: map[reflect.Type]string{}}
	root := schema.of(reflect.TypeFor[T]())
	if object, is := root.(map[string]any); is && len(schema.defs) > 0 {
		object["$defs"] = schema.defs
	}
	text, err := json.Marshal(root)
	if err != nil {
		return ""
	}
	return string(text)
}

type schemas struct {
	defs map[string]any
	open map[reflect.Type]string
}

func (s *schemas) of(t reflect.Type) any {
	if t.Kind() != reflect.Pointer && (t.Implements(jsonMarshaler) || reflect.PointerTo(t).Implements(jsonMarshaler)) {
		return true
	}
	if t.Kind() != reflect.Pointer && (t.Implements(textMarshaler) || reflect.PointerTo(t).Implements(textMarshaler)) {
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.String:
		if t == reflect.TypeFor[json.Number]() {
			return map[string]any{"type": "number"}
		}
		return map[string]any{"type": "string"}
	case reflect.Pointer:
		return orNull(s.of(t.Elem()))
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return orNull(map[string]any{"type": "string"})
		}
		return orNull(map[string]any{"type": "array", "items": s.of(t.Elem())})
	case reflect.Array:
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return orNull(map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())})
	case reflect.Struct:
		return s.object(t)
	default:
		return true
	}
}

// A struct; a recursive one is defined under $defs.
func (s *schemas) object(t reflect.Type) any {
	if name, is := s.open[t]; is {
		s.defs[name] = nil
		return map[string]any{"$ref": "#/$defs/" + name}
	}
	name := strings.NewReplacer("/", ".", "~", ".").Replace(t.String())
	s.open[t] = name
	properties := map[string]any{}
	required := []string{}
	s.fields(t, properties, &required)
	delete(s.open, t)
	object := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		object["required"] = required
	}
	if _, recursive := s.defs[name]; recursive {
		s.defs[name] = object
		return map[string]any{"$ref": "#/$defs/" + name}
	}
	return object
}

func (s *schemas) fields(t reflect.Type, properties map[string]any, required *[]string) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" && options == "" || !field.IsExported() && !field.Anonymous {
			continue
		}
		if field.Anonymous && name == "" {
			inner := field.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct {
				s.fields(inner, properties, required)
				continue
			}
		}
		if name == "" {
			name = field.Name
		}
		optional := field.Type.Kind() == reflect.Pointer
		for _, option := range strings.Split(options, ",") {
			optional = optional || option == "omitempty" || option == "omitzero"
		}
		properties[name] = s.of(field.Type)
		if strings.Contains(","+options+",", ",string,") {
			properties[name] = map[string]any{"type": "string"}
		}
		if !optional {
			*required = append(*required, name)
		}
	}
}

func orNull(schema any) any {
	object, is := schema.(map[string]any)
	if !is {
		return schema
	}
	if kind, is := object["type"].(string); is {
		object["type"] = []string{kind, "null"}
		return object
	}
	return map[string]any{"anyOf": []any{object, map[string]any{"type": "null"}}}
}

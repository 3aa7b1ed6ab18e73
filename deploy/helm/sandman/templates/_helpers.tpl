{{/* The name of everything in a release: cut so that a pod's number still fits into a name of 63 characters. */}}
{{- define "sandman.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sandman.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sandman.labels" -}}
{{ include "sandman.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "sandman.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sandman.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The secret that the hosts read; empty if there is none. */}}
{{- define "sandman.secretName" -}}
{{- if .Values.secrets.existing -}}
{{- .Values.secrets.existing -}}
{{- else if .Values.secrets.values -}}
{{- include "sandman.fullname" . -}}
{{- end -}}
{{- end -}}

{{/* "true" where the store is a file of the one host. */}}
{{- define "sandman.isSingle" -}}
{{- if eq .Values.store.url "sqlite" -}}true{{- end -}}
{{- end -}}

{{/* The listener that is probed: every host has the admin listener, but without a token it is on the loopback. */}}
{{- define "sandman.probePort" -}}
{{- if .Values.http.enabled -}}http{{- else -}}admin{{- end -}}
{{- end -}}

{{/* Values that contradict each other, which no schema can say. */}}
{{- define "sandman.check" -}}
{{- if and (include "sandman.isSingle" .) (gt (int .Values.replicas) 1) -}}
{{- fail "replicas: a store on SQLite has one host; set replicas to 1, or store.url to a PostgreSQL" -}}
{{- end -}}
{{- if and (include "sandman.isSingle" .) .Values.keda.enabled -}}
{{- fail "keda.enabled: a store on SQLite has one host; set store.url to a PostgreSQL" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not .Values.admin.exposed) -}}
{{- fail "serviceMonitor.enabled: Prometheus does not reach an admin listener on the loopback; set admin.exposed to true" -}}
{{- end -}}
{{- if and (not .Values.http.enabled) (not .Values.admin.exposed) -}}
{{- fail "http.enabled: without routes the admin listener is probed; set admin.exposed to true" -}}
{{- end -}}
{{- if and .Values.admin.exposed (not (include "sandman.secretName" .)) -}}
{{- fail "admin.exposed: the listener needs SANDMAN_ADMIN_TOKEN; set secrets.existing or secrets.values" -}}
{{- end -}}
{{- if and .Values.keda.enabled (gt (int .Values.keda.minReplicas) (int .Values.keda.maxReplicas)) -}}
{{- fail "keda.minReplicas: is more than keda.maxReplicas" -}}
{{- end -}}
{{- end -}}

{{/* Labels of everything that belongs to the release. */}}
{{- define "reefline.labels" -}}
app.kubernetes.io/name: reefline
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* What selects the pods of one role: dict "root" . "role" "code". */}}
{{- define "reefline.selector" -}}
app.kubernetes.io/name: reefline
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "reefline.image" -}}
{{- $image := .image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Environment of code server, daemon, webserver and setup. Service links stay off: they would add variables named
     REEFLINE_..., which reefline takes for misspelt settings. */}}
{{- define "reefline.env" -}}
envFrom:
  - configMapRef: {name: {{ .Release.Name }}-settings}
  - secretRef: {name: {{ .Values.secrets.main }}}
{{- end }}

{{/* Webserver and daemon open Dagster's tables and nothing else. */}}
{{- define "reefline.storageEnv" -}}
envFrom:
  - configMapRef: {name: {{ .Release.Name }}-settings}
env:
  - name: DAGSTER_PG_PASSWORD
    valueFrom: {secretKeyRef: {name: {{ .Values.secrets.main }}, key: DAGSTER_PG_PASSWORD}}
{{- end }}

{{- define "reefline.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "reefline.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
{{- end }}

{{- define "reefline.dataClaim" -}}
{{ .Values.storage.data.existingClaim | default (printf "%s-data" .Release.Name) }}
{{- end }}

{{- define "reefline.logsClaim" -}}
{{ .Values.storage.logs.existingClaim | default (printf "%s-logs" .Release.Name) }}
{{- end }}

{{- define "reefline.surveysMap" -}}
{{ .Values.surveysConfigMap | default (printf "%s-surveys" .Release.Name) }}
{{- end }}

{{/* Volumes that read and write pictures: code server and runs. */}}
{{- define "reefline.workVolumes" -}}
- name: data
  persistentVolumeClaim: {claimName: {{ include "reefline.dataClaim" . }}}
- name: logs
  persistentVolumeClaim: {claimName: {{ include "reefline.logsClaim" . }}}
- name: surveys
  configMap: {name: {{ include "reefline.surveysMap" . }}}
{{- if .Values.storage.photos.existingClaim }}
- name: photos
  persistentVolumeClaim: {claimName: {{ .Values.storage.photos.existingClaim }}, readOnly: true}
{{- end }}
{{- end }}

{{- define "reefline.instanceVolume" -}}
- name: instance
  configMap: {name: {{ .Release.Name }}-instance}
{{- end }}

{{- define "reefline.instanceMounts" -}}
- {name: instance, mountPath: /opt/reefline/dagster/dagster.yaml, subPath: dagster.yaml, readOnly: true}
- {name: instance, mountPath: /opt/reefline/dagster/workspace.yaml, subPath: workspace.yaml, readOnly: true}
{{- end }}

{{- define "reefline.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Where a card is needed: merged into the pods of runs, or of the shares of a batch. */}}
{{- define "reefline.gpuPod" -}}
container_config:
  resources:
    limits: {{ dict .Values.gpu.resource 1 | toJson }}
pod_spec_config:
  node_selector: {{ .Values.gpu.nodeSelector | toJson }}
  tolerations: {{ .Values.gpu.tolerations | toJson }}
{{- end }}

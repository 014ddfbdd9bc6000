{{/* Reference of an image: (list $ "sidecar"). */}}
{{- define "weft.image" -}}
{{- $root := index . 0 -}}
{{- printf "%sweft/%s:%s" $root.Values.image.registry (index . 1) ($root.Values.image.tag | default $root.Chart.AppVersion) -}}
{{- end }}

{{/* What tells the pods of a component apart: (list $ "weft-injector"). */}}
{{- define "weft.selectorLabels" -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end }}

{{- define "weft.labels" -}}
{{- $root := index . 0 -}}
{{ include "weft.selectorLabels" . }}
app.kubernetes.io/part-of: weft
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end }}

{{/* Metadata of a pod: (list $ "weft-injector" .Values.injector). */}}
{{- define "weft.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $values := index . 2 -}}
labels:
  {{- include "weft.labels" . | nindent 2 }}
  # The parts of the mesh speak TLS of their own; a sidecar could not start without them.
  weft.dev/inject: disabled
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- if or $root.Values.prometheus.scrapeAnnotations $values.podAnnotations }}
annotations:
  {{- if $root.Values.prometheus.scrapeAnnotations }}
  prometheus.io/scrape: "true"
  prometheus.io/port: "15014"
  prometheus.io/path: /metrics
  {{- end }}
  {{- with $values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* What both pods have in common besides their container: (list $ "weft-injector" .Values.injector). */}}
{{- define "weft.podSpec" -}}
{{- $root := index . 0 -}}
{{- $values := index . 2 -}}
serviceAccountName: {{ index . 1 }}
# Both are clients of the Kubernetes API.
automountServiceAccountToken: true
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
terminationGracePeriodSeconds: 30
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if gt (int $values.replicas) 1 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "weft.selectorLabels" . | nindent 8 }}
{{- end }}
{{- end }}

{{- define "weft.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Probes of a process that serves its health on the monitoring port. */}}
{{- define "weft.probes" -}}
startupProbe:
  httpGet:
    path: /healthz/live
    port: http-monitoring
  periodSeconds: 1
  failureThreshold: 60
readinessProbe:
  httpGet:
    path: /healthz/ready
    port: http-monitoring
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 3
livenessProbe:
  httpGet:
    path: /healthz/live
    port: http-monitoring
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}

{{/* Selects what asks for injection ("In"), or what says nothing of the kind ("NotIn"). */}}
{{- define "weft.asked" -}}
- key: weft.dev/inject
  operator: {{ . }}
  values: {{ if eq . "In" }}[enabled]{{ else }}[enabled, disabled]{{ end }}
{{- end }}

{{/* Leaves out the namespaces that are never injected. */}}
{{- define "weft.otherNamespaces" -}}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values: {{ concat (list .Release.Namespace "kube-system") .Values.injector.excludedNamespaces | uniq | toJson }}
{{- end }}

{{/* What the webhooks of the injector have in common. */}}
{{- define "weft.injectorWebhook" -}}
admissionReviewVersions: [v1]
clientConfig:
  service:
    name: weft-injector
    namespace: {{ .Release.Namespace }}
    path: /inject
    port: 443
rules:
  - apiGroups: [""]
    apiVersions: [v1]
    operations: [CREATE]
    resources: [pods]
    scope: Namespaced
failurePolicy: {{ .Values.injector.failurePolicy }}
matchPolicy: Equivalent
# Containers that another webhook adds later get their probes rewritten as well.
reinvocationPolicy: IfNeeded
sideEffects: None
timeoutSeconds: 10
{{- end }}

{{- define "weft.revision" -}}
- key: weft.dev/rev
{{- if .Values.revision }}
  operator: In
  values: [{{ .Values.revision | quote }}]
{{- else }}
  operator: DoesNotExist
{{- end }}
{{- end }}

{{/* Who reaches a component: (list $ "weft-injector" $rules), with rules beyond those of webhook and metrics. */}}
{{- define "weft.networkPolicy" -}}
{{- $root := index . 0 -}}
{{- $values := $root.Values.networkPolicy -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ index . 1 }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "weft.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "weft.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress]
  ingress:
    # The API server has no labels: it comes from a node, or from outside of the cluster.
    - ports:
        - port: 15017
          protocol: TCP
      {{- with $values.apiServerBlocks }}
      from:
        {{- range . }}
        - ipBlock:
            cidr: {{ . | quote }}
        {{- end }}
      {{- end }}
    - ports:
        - port: 15014
          protocol: TCP
      from:
        - namespaceSelector:
            matchExpressions:
              - key: kubernetes.io/metadata.name
                operator: In
                values: {{ concat (list $root.Release.Namespace) $values.metricsNamespaces | uniq | toJson }}
        {{- /* Its proxy is how operators ask. */}}
        {{- range $values.apiServerBlocks }}
        - ipBlock:
            cidr: {{ . | quote }}
        {{- end }}
    {{- with index . 2 }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

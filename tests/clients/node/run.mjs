// npm's @kubernetes/client-node against a running server: KUBECONFIG says which.

import assert from 'node:assert/strict';
import * as k8s from '@kubernetes/client-node';

const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
const namespace = 'node';

const configmap = (name, data, labels) => ({ metadata: { name, labels }, data });
const settings = (path) => `/api/v1/namespaces/${namespace}/${path}`;

async function until(what, holds) {
    const end = Date.now() + 20000;
    for (;;) {
        const value = await holds();
        if (value) return value;
        assert.ok(Date.now() < end, `waited in vain until ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

/** The call must be refused so. */
async function refused(code, reason, message, call) {
    try {
        await call();
    } catch (error) {
        assert.equal(error.code, code, String(error));
        const status = typeof error.body === 'string' ? JSON.parse(error.body) : error.body;
        assert.equal(status.kind, 'Status');
        assert.equal(status.reason, reason);
        assert.ok(status.message.includes(message), status.message);
        return status;
    }
    assert.fail(`not refused: ${message}`);
}

const gone = (call) => async () => {
    try {
        await call();
        return false;
    } catch (error) {
        assert.equal(error.code, 404, String(error));
        return true;
    }
};

const checks = {
    async 'namespace and discovery'() {
        await core.createNamespace({ body: { metadata: { name: namespace } } });
        const version = await config.makeApiClient(k8s.VersionApi).getCode();
        assert.equal(version.major, '1');
        const groups = await config.makeApiClient(k8s.ApisApi).getAPIVersions();
        assert.ok(groups.groups.some((group) => group.name === 'apps'));
        const resources = await core.getAPIResources();
        assert.ok(resources.resources.some((resource) => resource.name === 'pods/eviction'));
    },

    async 'create, read, replace, delete'() {
        const made = await core.createNamespacedConfigMap({ namespace, body: configmap('one', { a: '1' }) });
        assert.ok(made.metadata.uid && made.metadata.creationTimestamp instanceof Date);
        const read = await core.readNamespacedConfigMap({ namespace, name: 'one' });
        assert.deepEqual(read.data, { a: '1' });
        read.data.b = '2';
        const replaced = await core.replaceNamespacedConfigMap({ namespace, name: 'one', body: read });
        assert.deepEqual(replaced.data, { a: '1', b: '2' });
        await refused(409, 'Conflict', 'the object has been modified', () =>
            core.replaceNamespacedConfigMap({ namespace, name: 'one', body: read }),
        );
        const deleted = await core.deleteNamespacedConfigMap({ namespace, name: 'one' });
        assert.equal(deleted.status, 'Success');
    },

    async 'error bodies'() {
        await refused(404, 'NotFound', 'configmaps "nope" not found', () => core.readNamespacedConfigMap({ namespace, name: 'nope' }));
        await refused(404, 'NotFound', 'namespaces "nowhere" not found', () =>
            core.createNamespacedConfigMap({ namespace: 'nowhere', body: configmap('x') }),
        );
        await core.createNamespacedConfigMap({ namespace, body: configmap('twice') });
        await refused(409, 'AlreadyExists', 'configmaps "twice" already exists', () =>
            core.createNamespacedConfigMap({ namespace, body: configmap('twice') }),
        );
        const body = {
            metadata: { name: 'bad' },
            spec: { selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'c' } }, spec: { containers: [] } } },
        };
        const status = await refused(422, 'Invalid', 'Deployment.apps "bad" is invalid', () => apps.createNamespacedDeployment({ namespace, body }));
        assert.deepEqual(
            status.details.causes.map((cause) => cause.field),
            ['spec.template.metadata.labels', 'spec.template.spec.containers'],
        );
        await refused(400, 'BadRequest', 'field label not supported', () => core.listNamespacedPod({ namespace, fieldSelector: 'spec.x=1' }));
    },

    async 'every patch'() {
        await core.createNamespacedConfigMap({ namespace, body: configmap('patched', { a: '1', b: '2' }) });
        const patch = (body, type) =>
            core.patchNamespacedConfigMap({ namespace, name: 'patched', body }, k8s.setHeaderOptions('Content-Type', type));
        const json = await patch(
            [
                { op: 'test', path: '/data/a', value: '1' },
                { op: 'replace', path: '/data/a', value: '9' },
            ],
            k8s.PatchStrategy.JsonPatch,
        );
        assert.deepEqual(json.data, { a: '9', b: '2' });
        const merge = await patch({ data: { b: null, c: '3' } }, k8s.PatchStrategy.MergePatch);
        assert.deepEqual(merge.data, { a: '9', c: '3' });
        const strategic = await patch({ metadata: { labels: { l: 'x' } } }, k8s.PatchStrategy.StrategicMergePatch);
        assert.deepEqual(strategic.metadata.labels, { l: 'x' });
        await refused(422, 'Invalid', 'the server rejected our request', () =>
            patch([{ op: 'remove', path: '/data/zz' }], k8s.PatchStrategy.JsonPatch),
        );
        await refused(415, 'UnsupportedMediaType', 'Unsupported Media Type', () => patch({}, 'application/json'));
    },

    async 'server-side apply'() {
        const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied' }, data: { a: '1' } };
        const apply = (fieldManager, body, force) =>
            core.patchNamespacedConfigMap(
                { namespace, name: 'applied', body, fieldManager, force },
                k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.ServerSideApply),
            );
        const first = await apply('one', body);
        const again = await apply('one', body);
        assert.equal(again.metadata.resourceVersion, first.metadata.resourceVersion);
        assert.deepEqual(first.metadata.managedFields[0].fieldsV1, { 'f:data': { 'f:a': {} } });
        const other = { ...body, data: { a: '2' } };
        await refused(409, 'Conflict', 'Apply failed with 1 conflict: conflict with "one": .data.a', () => apply('two', other));
        assert.deepEqual((await apply('two', other, true)).data, { a: '2' });
    },

    async 'list in pages and by selectors'() {
        for (let number = 0; number < 5; number++) {
            await core.createNamespacedConfigMap({ namespace, body: configmap(`page-${number}`, {}, { page: 'yes', n: `${number}` }) });
        }
        const names = [];
        let _continue;
        do {
            const page = await core.listNamespacedConfigMap({ namespace, labelSelector: 'page=yes', limit: 2, _continue });
            names.push(...page.items.map((item) => item.metadata.name));
            _continue = page.metadata._continue;
        } while (_continue);
        assert.deepEqual(names, ['page-0', 'page-1', 'page-2', 'page-3', 'page-4']);
        const some = await core.listNamespacedConfigMap({ namespace, labelSelector: 'n in (1,3)' });
        assert.equal(some.items.length, 2);
        const one = await core.listNamespacedConfigMap({ namespace, fieldSelector: 'metadata.name=page-2' });
        assert.equal(one.items.length, 1);
        await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'page=yes' });
        assert.equal((await core.listNamespacedConfigMap({ namespace, labelSelector: 'page' })).items.length, 0);
    },

    async 'watch'() {
        const { metadata } = await core.listNamespacedConfigMap({ namespace });
        const seen = [];
        const watch = new k8s.Watch(config);
        const request = await watch.watch(
            settings('configmaps'),
            { resourceVersion: metadata.resourceVersion, allowWatchBookmarks: true },
            (type, object) => type !== 'BOOKMARK' && seen.push(`${type} ${object.metadata.name}`),
            () => {},
        );
        await core.createNamespacedConfigMap({ namespace, body: configmap('watched', { a: '1' }) });
        await core.patchNamespacedConfigMap(
            { namespace, name: 'watched', body: { data: { a: '2' } } },
            k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch),
        );
        await core.deleteNamespacedConfigMap({ namespace, name: 'watched' });
        await until('all three are seen', () => seen.length === 3);
        request.abort();
        assert.deepEqual(seen, ['ADDED watched', 'MODIFIED watched', 'DELETED watched']);
    },

    async 'informer'() {
        const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: 'informed' });
        const informer = k8s.makeInformer(config, settings('configmaps'), list, 'informed');
        const seen = [];
        for (const event of ['add', 'update', 'delete']) informer.on(event, (object) => seen.push(`${event} ${object.metadata.name}`));
        // Its own stop is an error to it.
        informer.on('error', (error) => error.name !== 'AbortError' && seen.push(`error ${error}`));
        await informer.start();
        await core.createNamespacedConfigMap({ namespace, body: configmap('informed', { a: '1' }, { informed: 'yes' }) });
        await until('it is added', () => seen.includes('add informed'));
        assert.deepEqual(informer.get('informed', namespace).data, { a: '1' });
        await core.patchNamespacedConfigMap(
            { namespace, name: 'informed', body: { data: { a: '2' } } },
            k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch),
        );
        await until('it is changed', () => seen.includes('update informed'));
        assert.deepEqual(informer.get('informed', namespace).data, { a: '2' });
        await core.deleteNamespacedConfigMap({ namespace, name: 'informed' });
        await until('it is gone', () => seen.includes('delete informed'));
        assert.equal(informer.list().length, 0);
        await informer.stop();
        assert.deepEqual(seen, ['add informed', 'update informed', 'delete informed']);
    },

    async 'objects from YAML'() {
        const documents = k8s.loadAllYaml(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: ${namespace}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1.27"}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: ${namespace}}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: ${namespace}}
spec: {podSelector: {}, policyTypes: [Ingress]}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: node-high}
value: 10
`);
        for (const document of documents) {
            const made = await objects.create(document);
            assert.ok(made.metadata.uid, document.kind);
            const read = await objects.read(document);
            assert.equal(read.metadata.uid, made.metadata.uid);
        }
        const patched = await objects.patch(
            { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web', namespace }, spec: { replicas: 3 } },
            undefined, undefined, undefined, undefined, k8s.PatchStrategy.MergePatch,
        );
        assert.equal(patched.spec.replicas, 3);
        const listed = await objects.list('apps/v1', 'Deployment', namespace);
        assert.equal(listed.items.length, 1);
        const live = await objects.read(documents[1]);
        live.metadata.labels = { changed: 'yes' };
        assert.deepEqual((await objects.replace(live)).metadata.labels, { changed: 'yes' });
        for (const document of documents) {
            await objects.delete(document);
            await until(`${document.kind} is gone`, gone(() => objects.read(document)));
        }
    },

    async 'subresources and reviews'() {
        await core.createNamespacedServiceAccount({ namespace, body: { metadata: { name: 'robot' } } });
        const token = await core.createNamespacedServiceAccountToken({ namespace, name: 'robot', body: { spec: { audiences: undefined, expirationSeconds: 600 } } });
        assert.equal(token.status.token.split('.').length, 3);
        const review = await config.makeApiClient(k8s.AuthorizationV1Api).createSelfSubjectAccessReview({
            body: { spec: { resourceAttributes: { verb: 'create', resource: 'pods', namespace } } },
        });
        assert.equal(review.status.allowed, true);
        await core.createNamespacedPod({ namespace, body: { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } } });
        const pod = await core.patchNamespacedPodStatus(
            { namespace, name: 'p', body: { status: { phase: 'Running' } } },
            k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.StrategicMergePatch),
        );
        assert.equal(pod.status.phase, 'Running');
        await core.createNamespacedPodEviction({ namespace, name: 'p', body: { metadata: { name: 'p' } } });
        await until('the pod is gone', gone(() => core.readNamespacedPod({ namespace, name: 'p' })));
        assert.equal((await core.listNamespacedEvent({ namespace })).items.length, 0);
    },

    async 'the namespace goes'() {
        await core.deleteNamespace({ name: namespace });
        await until('it is gone', gone(() => core.readNamespace({ name: namespace })));
    },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
    const started = Date.now();
    try {
        await check();
        console.log(`  ok    ${name} (${((Date.now() - started) / 1000).toFixed(2)} s)`);
    } catch (error) {
        failed += 1;
        console.log(`  FAIL  ${name}\n${error.stack}`);
    }
}
console.log(`  ${Object.keys(checks).length - failed} of ${Object.keys(checks).length} passed`);
process.exit(failed ? 1 : 0);

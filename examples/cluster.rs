#[tokio::main]
async fn main() {
    let cluster = tenantry::sandbox::Kubernetes::start().await;
    cluster.apply_yaml(&std::fs::read_to_string("deploy/crd.yaml").unwrap());
    for file in ["gitrepositories", "kustomizations"] {
        cluster
            .apply_yaml(&std::fs::read_to_string(format!("tests/flux-crds/{file}.yaml")).unwrap());
    }
    std::fs::write("/tmp/scratch/kubeconfig", cluster.kubeconfig()).unwrap();
    println!("{}", cluster.url());
    tokio::signal::ctrl_c().await.unwrap();
}
